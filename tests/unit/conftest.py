"""For tests of stores: empty ones at once."""

from tests.empty_stores import _planned_once, real_migrations

__all__ = ["_planned_once", "real_migrations"]
