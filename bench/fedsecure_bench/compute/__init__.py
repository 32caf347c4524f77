"""Private computation: rows that a linear model answers without seeing them.

private_rows    the whole bench, part by part
encrypted_rows  Paillier over shares, beside phe
shared_rows     rows as shares, in this process, beside CKKS
service         the whole product: two aggregators, and a clinic that asks them
"""
