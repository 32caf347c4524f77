"""Alembic migrations of the aggregator store."""
