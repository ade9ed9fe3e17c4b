"""Run by Alembic. The connection comes from the caller, who also opened the transaction and will commit it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
