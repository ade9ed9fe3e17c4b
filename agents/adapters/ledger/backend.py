"""What the ledger asks of a database: connections, a turn for each commit, and words for its faults.

Commits run one at a time, also between processes: so sequence numbers become visible in their order, no reader of the
outbox misses one that was committed late, and two batches cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from agents.adapters.ledger.statements import Insert
from agents.errors import LedgerUnavailableError, StateError

LOCK_SECONDS = 10
"""How long a commit waits for its turn before the ledger counts as unavailable."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One database. `place` names it for people, without a password."""

    place: str
    engine: Engine
    """For queries, each of which sees one committed state."""
    take_turn: str
    """The statement that begins a transaction which writes: it waits for its turn, at most `LOCK_SECONDS`."""
    insert: Insert
    explain: Callable[[str, BaseException], StateError | None]
    """The fault behind a driver's error at a place; None if it is a bug of ours."""

    @contextmanager
    def writing(self) -> Iterator[DBAPICursor]:
        """One durable transaction, alone among all processes; rolled back if the block raises."""
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(self.take_turn)
            yield cursor
            connection.commit()
        except self.engine.dialect.loaded_dbapi.Error as error:
            connection.invalidate(error)  # closed, which rolls back: it may be broken
            raise
        finally:
            connection.close()  # back to the pool, which rolls back what is not committed

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Turn errors of the database into `LedgerUnavailableError` or `StateError`."""
        driver_error = self.engine.dialect.loaded_dbapi.Error
        try:
            yield
        except (DBAPIError, driver_error) as error:
            fault = self.explain(self.place, getattr(error, "orig", error))
            if fault is None:
                raise
            raise fault from error
        except PoolTimeoutError as error:
            told = "is asked for more than it can do at once: no connection came free. Try again."
            raise LedgerUnavailableError(f"The ledger at {self.place} {told}") from error


def first_line(error: BaseException) -> str:
    """What the database said, in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
