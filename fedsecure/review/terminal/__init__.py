"""Runs and rounds for a terminal.

    run_tables  runs and rounds, a row each
    round_page  one round in full
    live        a run while it goes on, from another process

What they show comes from the round store alone.
"""
