"""The directory of an agent while it runs: one daemon at a time, and what it last said of its health."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from agents.errors import HomeBusyError, StateError

RUN = "run"
LOCK = "agent.lock"
HEALTH = "health.json"


class HomeLock:
    """An advisory lock on the home, held by the daemon for as long as it lives; the system frees it if it is killed."""

    def __init__(self, home: Path) -> None:
        self._path = home / RUN / LOCK
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises `HomeBusyError` if another daemon has it, `StateError` if it cannot be written."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise HomeBusyError(
                f"an agent already runs on {self._path.parent.parent}. Use it (`agent status`), or stop it first."
            ) from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_held(self) -> bool:
        """Whether some daemon has the lock now."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(
                f"{self._path.parent} cannot be written: {error.strerror}. The agent keeps its lock there; "
                "make the home writable for this user and check that the disk has room."
            ) from None


def write_health(home: Path, health: dict[str, Any]) -> None:
    """Replace what the daemon says of its health. Raises `OSError`."""
    path = home / RUN / HEALTH
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(health, file)
    new.replace(path)


def read_health(home: Path) -> dict[str, Any] | None:
    """What the daemon last said, None if it never did."""
    try:
        found = json.loads((home / RUN / HEALTH).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
