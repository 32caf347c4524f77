"""Runs migrations on the connection that `aggregator.store` hands in."""

from alembic import context

from aggregator.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
