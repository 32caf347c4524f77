"""Run by Alembic: migrate within the caller's transaction."""

from alembic import context

from fedsecure_clients.state.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
