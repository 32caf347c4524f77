"""The aggregation server: the same program at both organisations that run one.

    rules        what may happen and what is refused: pure
    config       what its operator sets
    storage      its database, and the spool of sealed bytes and round keys
    rounds       a round's life: granted, reported to, added up, opened, or given up
    http         routes, admission, bodies off the wire, background tasks, metrics
    console      its pages
    operations   `fedsecure aggregator`: server, health, migration, backup, restore

A room uses those above it, never those below it. One thread makes every change
(`http.worker`), so no two changes race.
"""
