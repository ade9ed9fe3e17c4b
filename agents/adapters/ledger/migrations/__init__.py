"""Alembic's place: `env` runs migrations on a connection that is handed over, `versions` holds them."""
