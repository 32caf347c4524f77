"""Runs migrations on the connection that `aggregator.store` hands in.

Views hold no data and read the newest tables only, so every upgrade drops them first
and creates today's afterwards.
"""

from alembic import context

from aggregator.tables import Base
from aggregator.views import VIEWS
from fedsecure.views import create_views, drop_views

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    transactional_ddl=True,
)
drop_views(connection, VIEWS)
with context.begin_transaction():
    context.run_migrations()
create_views(connection, VIEWS)
