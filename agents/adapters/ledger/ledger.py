"""The ledger itself: the questions of `queries`, and `commit`."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from sqlalchemy.engine.interfaces import DBAPICursor

from agents.adapters.ledger.backend import Backend
from agents.adapters.ledger.queries import Queries
from agents.adapters.ledger.recording import ConflictError, Recorder
from agents.core.effects import Unit


class SqlLedger(Queries):
    """The `Ledger` port over SQL. Safe to use from several threads; not across a fork."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._recorder = Recorder(backend.engine.dialect, backend.insert)
        # Threads of one process wait here: it wakes them at once, while SQLite's wait polls.
        self._turn = Lock()

    def commit(self, units: Sequence[Unit]) -> tuple[bool, ...]:
        """Record the units in one durable transaction, in order, and say of each whether it was recorded.

        False means that it conflicts with what is recorded and has left no trace, while the others are recorded.
        """
        if not units:
            return ()
        with self._turn, self._backend.translating():
            if self._commit_together(units):
                return (True,) * len(units)
            if len(units) == 1:
                return (False,)
            return self._commit_separately(units)

    def close(self) -> None:
        """Give back what is held open."""
        self._backend.engine.dispose()

    def _commit_together(self, units: Sequence[Unit]) -> bool:
        """Merge the units. False, and nothing recorded, if one of them conflicts."""
        try:
            with self._backend.writing() as cursor:
                self._recorder.record(cursor, [effect for unit in units for effect in unit.effects])
        except ConflictError:
            return False
        return True

    def _commit_separately(self, units: Sequence[Unit]) -> tuple[bool, ...]:
        """One savepoint for each unit, so that a unit that conflicts takes only its own effects back."""
        with self._backend.writing() as cursor:
            return tuple([self._recorded(cursor, unit) for unit in units])

    def _recorded(self, cursor: DBAPICursor, unit: Unit) -> bool:
        cursor.execute("SAVEPOINT unit")
        try:
            self._recorder.record(cursor, unit.effects)
        except ConflictError:
            cursor.execute("ROLLBACK TO SAVEPOINT unit")
            return False
        cursor.execute("RELEASE SAVEPOINT unit")
        return True
