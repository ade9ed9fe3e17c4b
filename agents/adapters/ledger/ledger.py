"""The ledger itself: the questions of `queries`, and `commit`.

SQLAlchemy builds and renders each statement once for its dialect; rows then go straight to the driver as tuples, many
at a time. Executing through SQLAlchemy would cost more than SQLite itself does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from threading import Lock
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPICursor

from agents.adapters.ledger.backend import Backend
from agents.adapters.ledger.encoding import WRITES, Write
from agents.adapters.ledger.merging import merge
from agents.adapters.ledger.queries import Queries
from agents.adapters.ledger.rows import Row
from agents.adapters.ledger.statements import Insert, Statement, last_sequence
from agents.core.effects import Effect, Unit

Prepared = tuple[str, Callable[[Row], tuple[Any, ...]]]
"""A statement's text, and how to order the values of a row for it."""


class ConflictError(Exception):
    """An effect does not fit what is recorded. Never leaves the ledger."""


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


class Recorder:
    """Writes effects into one open database transaction; keeps the statements of one dialect prepared."""

    def __init__(self, dialect: Dialect, insert: Insert) -> None:
        self._dialect = dialect
        self._insert = insert
        self._prepared: dict[Statement, Prepared] = {}

    def record(self, cursor: DBAPICursor, effects: Iterable[Effect]) -> None:
        """Write `effects`. Raises `ConflictError`; the caller then rolls back what was written."""
        sequences = self._new_sequences(cursor)
        for kind, group in merge(effects):
            for write in WRITES[kind](group, sequences):
                self._perform(cursor, write)

    def _perform(self, cursor: DBAPICursor, write: Write) -> None:
        if not write.rows:
            return
        sql, ordered = self._statement(write.statement)
        cursor.executemany(sql, [ordered(row) for row in write.rows])
        if write.exact and cursor.rowcount != len(write.rows):
            raise ConflictError

    def _new_sequences(self, cursor: DBAPICursor) -> Iterator[int]:
        """Sequence numbers above all recorded ones. Safe because only one commit runs at a time (see `backend`)."""
        cursor.execute(self._statement(last_sequence)[0])
        last: int = cursor.fetchall()[0][0]
        while True:
            last += 1
            yield last

    def _statement(self, statement: Statement) -> Prepared:
        found = self._prepared.get(statement)
        if found is None:
            compiled: Any = statement(self._insert).compile(dialect=self._dialect)
            found = self._prepared[statement] = (str(compiled), _in_order(compiled.positiontup))
        return found


def _in_order(names: list[str]) -> Callable[[Row], tuple[Any, ...]]:
    """`itemgetter`, which gives a tuple only for two names and more."""
    return itemgetter(*names) if len(names) > 1 else lambda row: tuple(row[name] for name in names)
