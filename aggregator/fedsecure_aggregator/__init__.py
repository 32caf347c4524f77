"""The aggregation server: the same program at both organisations that run one.

    app         routes and problem documents            server   sockets, TLS, signals
    intake      one streamed upload, into the spool     cli      `fedsecure aggregator`
    grants      a round's life: grant, void, expiry, start
    reports     what an upload must be, and its receipt
    openings    the one opening of a round              reads    who may ask what
    rounds, opening_rules, policy    states and refusals: pure
    fold        opens input shares and adds them up
    spool       sealed bytes and round keys on disk
    store       rounds, reports, openings and the ledger in SQL (tables, projection)

One thread makes every change (`fold.Worker`), so no two changes race.
"""
