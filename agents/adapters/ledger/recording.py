"""Writes effects into one open database transaction.

SQLAlchemy builds and renders each statement once; rows then go to the driver as tuples, many at a time. Its own
handling of parameters, row by row, would cost more than SQLite does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.engine import Dialect

from agents.adapters.ledger.encoding import WRITES, Row, Write
from agents.adapters.ledger.merging import merge
from agents.adapters.ledger.schema import messages
from agents.adapters.ledger.statements import Insert, Statement
from agents.core.effects import Effect

Prepared = tuple[str, Callable[[Row], tuple[Any, ...]]]
"""A statement's text, and how to order the values of a row for it."""


class ConflictError(Exception):
    """An effect does not fit what is recorded. Never leaves the ledger."""


class Recorder:
    """Keeps the statements of one dialect prepared."""

    def __init__(self, dialect: Dialect, insert: Insert) -> None:
        self._dialect = dialect
        self._insert = insert
        self._prepared: dict[Statement, Prepared] = {}

    def record(self, connection: Connection, effects: Iterable[Effect]) -> None:
        """Write `effects`. Raises `ConflictError`; the caller then rolls back what was written."""
        sequences = _new_sequences(connection)
        for kind, group in merge(effects):
            for write in WRITES[kind](group, sequences):
                self._perform(connection, write)

    def _perform(self, connection: Connection, write: Write) -> None:
        if not write.rows:
            return
        sql, ordered = self._prepared.get(write.statement) or self._prepare(write.statement)
        changed = connection.exec_driver_sql(sql, [ordered(row) for row in write.rows]).rowcount
        if write.exact and changed != len(write.rows):
            raise ConflictError

    def _prepare(self, statement: Statement) -> Prepared:
        compiled: Any = statement(self._insert).compile(dialect=self._dialect)
        prepared = self._prepared[statement] = (str(compiled), _in_order(compiled.positiontup))
        return prepared


def _in_order(names: list[str]) -> Callable[[Row], tuple[Any, ...]]:
    """`itemgetter`, which gives a tuple only for two names and more."""
    return itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)


def _new_sequences(connection: Connection) -> Iterator[int]:
    """Sequence numbers above all recorded ones. Safe because only one commit runs at a time (see `backend`)."""
    last = connection.execute(select(func.coalesce(func.max(messages.c.sequence), 0))).scalar_one()
    while True:
        last += 1
        yield last
