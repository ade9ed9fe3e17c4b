"""The migrations, numbered from 0001. A published one is never changed."""
