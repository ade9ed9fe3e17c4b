"""What the ledger asks of a database: two engines on one pool, and words for its faults.

Commits run one at a time, also between processes: so sequence numbers become visible in their order, no reader of the
outbox misses one that was committed late, and two batches cannot wait for each other in a circle. The writing engine
takes that turn when it begins a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine
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
    reader: Engine
    writer: Engine
    insert: Insert
    explain: Callable[[str, BaseException], StateError | None]
    """The fault behind a driver's error at a place; None if it is a bug of ours."""

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Turn errors of the database into `LedgerUnavailableError` or `StateError`."""
        try:
            yield
        except DBAPIError as error:
            fault = self.explain(self.place, error.orig or error)
            if fault is None:
                raise
            raise fault from error
        except PoolTimeoutError as error:
            told = "is asked for more than it can do at once: no connection came free. Try again."
            raise LedgerUnavailableError(f"The ledger at {self.place} {told}") from error


def first_line(error: BaseException) -> str:
    """What the database said, in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
