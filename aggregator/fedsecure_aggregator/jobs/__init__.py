"""A job at this aggregator: granted, started, given inputs, computed, or given up.

    grants      the promise with a key that a job begins with
    starts      both aggregators granted it; channel keys for what they compute alike
    inputs      what an input must be, and how it is kept; its receipt
    completion  the last thing came that a job waited for
    running     a job that opens once: computed when the last input is there
    services    a linear model that answers; `paillier` on rows that stay encrypted
    queries     what a query must be, its answer, and that it is answered once
    outputs     sealed outputs, and the headers that are signed from their rows
    voids       given up; `deletion` by the clock, `recovery` at a start
    standing    what those who take part may ask

`context` is what all of them are given; `known_jobs` what memory holds of them.
Computing is done by one thread of its own, and what is committed by the worker's.
"""
