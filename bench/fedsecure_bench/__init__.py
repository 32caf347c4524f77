"""`fedsecure bench`: what protection costs here, against what one would use instead.

    core      the arithmetic, in this process: no network, no disk
    service   uploads to real aggregator processes over TLS
    round     whole rounds on Flower's real runtime, beside plain and SecAgg+ rounds
    compute   rows that a linear model answers unseen: Paillier and shares
    scale     one round with thousands of data owners

Absolute numbers hold for this machine and hour. Ratios hold elsewhere too: what is
compared is always measured in turns within one run, never with remembered numbers.
Nothing here is needed to run a party; the peers are the optional extra `bench`.
"""
