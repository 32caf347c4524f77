"""Runs migrations on the connection that `fedsecure_aggregator.storage.store` hands in.

Views hold no data and read the newest tables only, so every upgrade drops them first
and creates today's afterwards.
"""

from alembic import context

from fedsecure.storage.views import create_views, drop_views
from fedsecure_aggregator.storage.tables import Base
from fedsecure_aggregator.storage.views import VIEWS

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
