"""Alembic runs this; the connection, in a transaction that is already open, comes from `limner.store.database`."""

from alembic import context

from limner.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
