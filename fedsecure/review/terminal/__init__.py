"""Runs and rounds for a terminal.

    run_tables  runs and rounds, a row each
    round_page  one round in full
    live        a run while it goes on, from another process
    progress    the same from the process that runs it
    service     a service that was opened

What the others show comes from the round store alone.
"""
