"""Run by Alembic: migrate within the caller's transaction, then renew the views.

Views hold no data and read the newest tables only, so every upgrade drops them
first and creates today's afterwards.
"""

from alembic import context

from fedsecure.owner.store.models import Base
from fedsecure.owner.store.views import VIEWS
from fedsecure.storage.views import create_views, drop_views

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata)
drop_views(connection, VIEWS)
with context.begin_transaction():
    context.run_migrations()
create_views(connection, VIEWS)
