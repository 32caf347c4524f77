"""Where an audit reads from: stores of every kind, as databases or exports.

kinds    what an audit knows of each kind of store, and the tables of evidence
owner    the model owner's: what its entries hold
sources  a database (one snapshot of it) or an export, read as rows
exports  a ledger as a file
"""
