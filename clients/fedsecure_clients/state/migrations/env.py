"""Run by Alembic: migrate within the caller's transaction.

Views hold no data and read the newest tables only, so every upgrade drops them first
and creates today's afterwards.
"""

from alembic import context

from fedsecure.storage.views import create_views, drop_views
from fedsecure_clients.state.tables import Base
from fedsecure_clients.state.views import VIEWS

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata)
drop_views(connection, VIEWS)
with context.begin_transaction():
    context.run_migrations()
create_views(connection, VIEWS)
