"""Real aggregator processes under load, over TLS.

    service       the bench of uploads
    scale         the bench of one round with many data owners
    federation    the federation of both: two servers, many data owners
    outbox        a data owner's outbox, without what an agent keeps
    uploads       uploads that were prepared before, sent at once
    load_workers  processes that play data owners
    unprotected   a server that stores what it gets, to compare with

All on this machine's loopback.
"""
