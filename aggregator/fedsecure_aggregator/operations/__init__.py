"""For who runs the server: start, health, backups, doctor, audit, commands.

    cli          `fedsecure aggregator` and its commands
    server       sockets, TLS, signals, the order of start and stop
    logs         one JSON object a line
    health       is the server of this machine ready?
    doctor       what an aggregator's `fedsecure doctor` looks at
    colocation   both aggregators on one machine are noticed
    backup       rows alone, never a key, a report or a share
    restore      a store put back, and what its ledger says of that
    migration    a store of an older form brought to this one; `install_service`

Nothing here takes part in a round.
"""
