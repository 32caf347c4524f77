"""The model owner's end of one round, step by step; knows no framework.

proposal          what a round is asked with, and what comes out of it
specs             the statements that the model owner writes
round_owner       propose, collect, fold, open, void: each at both aggregators
receipts          whose report lies at both
aggregate_shares  fetch one aggregator's share of the sum, check and open it
files             the round's key and the sealed shares, while it lasts
refusals          which errors say that a round will never be opened
"""
