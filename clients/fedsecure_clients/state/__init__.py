"""What an agent must not forget, in its SQLite file.

    agent_state  outbox, receipts, what was answered
    studies      the studies that it knows, and what a person decided
    roster       who took part when that was decided
    outcomes     what became of each round
    refusals     what was not reported, and why
    privacy      what was told so far, as cost in privacy
    storage      every way to the file ends in FS-383 when it fails
    tables       the tables, which `migrations` makes
    views        the same for people who read SQL

Sealed reports lie beside it as files until both receipts are there.
"""
