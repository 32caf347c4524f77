"""Alembic revisions of the round store."""
