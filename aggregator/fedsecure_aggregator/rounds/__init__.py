"""A round at this aggregator: granted, reported to, added up, opened, or given up.

    grants        the promise with a key that a round begins with
    reports       what an upload must be, and how it is kept; then `receipts`
    accumulator   opens input shares and adds them up
    losses        what no longer opens, and rows that a database lost
    openings      the one opening of a round; then `aggregate_shares`
    voids         given up; `deletion` by the clock, `recovery` at a start
    reads         what an owner and a data owner may ask
    refusals      what was asked for and refused, for an auditor
    continuity    whether the database is the one that the data folder left

`context` is what all of them are given; `process_memory` what is lost with the process.
"""
