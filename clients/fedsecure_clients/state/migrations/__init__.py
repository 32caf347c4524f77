"""How the agent's state came to its present form (Alembic)."""
