"""Requests about jobs.

routes   the handlers; an input and a query are taken off the wire by `intake`
lanes    who does what: one thread computes, another one changes anything
"""
