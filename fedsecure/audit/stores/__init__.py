"""Where an audit reads from: stores of every kind, as databases or exports.

    kinds     what an audit knows of each kind of store; found by `fedsecure.stores`
    evidence  what a walked store says that it did, and what others signed
    owner     the model owner's: what its entries hold; `owner_jobs` those about jobs
    receipts  what a data owner keeps of its reports
    sources   a database (one snapshot of it) or an export, read as rows
    exports   a ledger as a file

What an aggregator's store holds is described by the package of the aggregators.
"""
