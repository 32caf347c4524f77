"""How findings name a round: by run, purpose, number and attempt, digest last."""

from typing import Any

from sqlalchemy import Connection, text


def label(row: Any) -> str:
    """Say which attempt at a round a row of specs is."""
    attempt = "" if row.attempt == 1 else f", attempt {row.attempt}"
    return f"{row.run} {row.purpose} round {row.round}{attempt} ({row.spec[:12]})"


def named(connection: Connection, spec: object, *stores: str) -> str:
    """Name a round by its spec's digest, as far as a walked store knows it.

    Args:
        connection: To tables of evidence.
        spec: The digest.
        stores: Under which names databases are attached; without any, the one itself.
    """
    for store in stores or ("main",):
        query = f"SELECT * FROM {store}.audit_specs WHERE spec = :spec"  # noqa: S608
        row = connection.execute(text(query), {"spec": str(spec)}).first()
        if row is not None:
            return label(row)
    return f"round {str(spec)[:12]}"
