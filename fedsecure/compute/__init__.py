"""Whoever takes part in a job, away from the aggregators: a party of any role.

    participant   a party, its configuration, and both aggregators as it sees them
    handout       a job's file, checked as if it came from a stranger
    proposal      sign a job, have it granted and started, end it
    inputs        give an input: check, share, seal, store, send
    outputs       the receiver: wait, fetch, compare, open
    queries       a service's client: rows in, logits out
    row_methods   how rows of a query are hidden
    policy        what a party lets be made of its numbers
    public        numbers of a job that everybody knows
    programs      formulas, and what their outputs tell
    folder        what is kept on disk, so that no step is taken twice
    numbers       the numbers of queries
    sealing       sealed payloads

Clock, randomness and network come in from outside. No framework, and no training.
"""
