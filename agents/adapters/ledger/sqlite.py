"""The ledger in one SQLite file: write-ahead log, every commit flushed to disk, readable by its owner only.

Readers never wait for the writer. SQLite gives `-wal` and `-shm` beside the file the file's own mode.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, event
from sqlalchemy.dialects.sqlite import insert

from agents.adapters.ledger.backend import LOCK_SECONDS, Backend, first_line
from agents.errors import ConfigurationError, LedgerUnavailableError, StateError

_PRAGMAS = (
    f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -65536",  # 64 MiB: serial numbers are random, so their index is written all over
    "PRAGMA wal_autocheckpoint = 4000",  # pages, 16 MiB: hot pages are copied back less often
)

_LET_IN = "Let this user write the file and its directory (SQLite makes files beside it)"
_LOCKED = "is locked by another process. Try again; if it stays so, look for a process that hangs"

_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: "does not fit: the disk or the quota is full. Make room, then try again",
    sqlite3.SQLITE_READONLY: f"is read-only. {_LET_IN}",
    sqlite3.SQLITE_PERM: f"may not be used. {_LET_IN}",
    sqlite3.SQLITE_CANTOPEN: f"cannot be opened: perhaps its file system is read-only. {_LET_IN}",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk is full, or reports an error. Look at the disk",
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def sqlite_backend(path: Path, *, create: bool) -> Backend:
    """The ledger in the file `path`, made (empty) if `create` says so. Raises `StateError` or `ConfigurationError`."""
    if create:
        _create_private(path)
    _require_private(path)
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _prepare)
    return Backend(str(path), engine, "BEGIN IMMEDIATE", insert, _explain)


def _prepare(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _create_private(path: Path) -> None:
    """Make the file with its final mode, and its name durable, before SQLite writes anything into it."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    except OSError as error:
        fix = "Make the directory, let this user write it, and see that the disk has room."
        raise LedgerUnavailableError(f"The ledger {path} cannot be made: {error.strerror}. {fix}") from error


def _require_private(path: Path) -> None:
    """Invitations hold secrets: nobody else may read the file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        fix = "Check --home and [ledger] in agent.toml, or restore a backup; `agent ledger upgrade` makes an empty one."
        raise StateError(f"There is no ledger at {path}. {fix}") from None
    except OSError as error:
        raise LedgerUnavailableError(f"The ledger {path} cannot be reached: {error.strerror}.") from error
    if not path.is_file():
        raise ConfigurationError(f"The ledger must be a file; {path} is not. Name the file, for example ledger.sqlite.")
    if mode & 0o077:
        fix = f"Run `chmod 600 {path}`; if others could read it, make new invitations."
        raise StateError(f"The ledger {path} has mode {mode & 0o777:04o}; wanted 0600, because it holds secrets. {fix}")


def _explain(place: str, error: BaseException) -> StateError | None:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None  # extended codes carry the primary one in their low byte
    if primary in _UNAVAILABLE:
        return LedgerUnavailableError(f"The ledger {place} {_UNAVAILABLE[primary]}. (SQLite: {first_line(error)})")
    if primary in _DAMAGED:
        fix = "Stop the agent, keep a copy of the file, and restore the ledger from a backup."
        return StateError(f"The ledger {place} is damaged: SQLite says '{first_line(error)}'. {fix}")
    if primary == sqlite3.SQLITE_ERROR and "no such" in str(error):
        fix = "Restore it from a backup, or name the right file."
        return StateError(f"{place} is not a whole ledger: SQLite says '{first_line(error)}'. {fix}")
    return None
