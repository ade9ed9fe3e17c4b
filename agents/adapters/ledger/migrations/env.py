"""Run by Alembic. The connection comes from the caller, who also opened the transaction and will commit it."""

from alembic import context

from agents.adapters.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
