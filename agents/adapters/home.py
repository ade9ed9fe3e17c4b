"""The directory of an agent: made all or nothing, one daemon at a time, and what that last said of its health."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from agents.adapters import files
from agents.errors import ConfigurationError, HomeBusyError, StateError

RUN = "run"
LOCK = "agent.lock"
HEALTH = "health.json"
"""What the daemon says; beside it, each further issuing process has a file of its own."""

MADE = ".made"
"""A complete new home inside the home itself: that may be a mount point, whose name nothing else can take."""

LOOKS = 20
LOOK_SECONDS = 0.005
"""How often, and how long apart, a lock is tried: `is_held` has it for a moment, a daemon has it for good."""


@contextmanager
def new_home(home: Path, last: str) -> Iterator[Path]:
    """Lend an empty directory for everything that a new home shall have; then move it to `home`, `last` at the end.

    A home that has `last` is complete. After a crash there is nothing of it, or all of it is there or for `finish_home`
    to move. Raises `ConfigurationError` if `home` has any of it already, and then it keeps that; `HomeBusyError`,
    `StateError`.
    """
    if not home.exists():
        files.make_directory(home)
    if not home.is_dir():
        raise ConfigurationError(f"{home} is a file, and an agent's home is a directory. Use another --home.")
    with _alone_in(home):
        with files.staging_directory(home / MADE) as staging:
            yield staging
            _require_free(home, staging, last)
            files.publish_directory(staging, home / MADE)
        files.move_contents(home / MADE, home, last)


def finish_home(home: Path, last: str) -> None:
    """Move what a crash kept `new_home` from moving, if there is any. Raises `HomeBusyError` or `StateError`."""
    if (home / MADE / last).exists():
        with _alone_in(home):
            files.move_contents(home / MADE, home, last)


def _require_free(home: Path, staging: Path, last: str) -> None:
    taken = next((home / one.name for one in staging.iterdir() if (home / one.name).exists()), None)
    if taken:
        raise ConfigurationError(
            f"{taken} exists already, and a new agent takes nobody's place. Use another --home; "
            f"if the {last} of an agent in this one was lost, restore it."
        )


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    lock = HomeLock(home)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


class HomeLock:
    """An advisory lock on the home, held by the daemon for as long as it lives; the system frees it if it is killed."""

    def __init__(self, home: Path) -> None:
        self._path = home / RUN / LOCK
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises `HomeBusyError` if another daemon has it, `StateError` if it cannot be written."""
        descriptor = self._open()
        for _ in range(LOOKS):
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._descriptor = descriptor
                return
            time.sleep(LOOK_SECONDS)
        os.close(descriptor)
        raise HomeBusyError(
            f"an agent already runs on {self._path.parent.parent}. Use it (`agent status`), or stop it first."
        )

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_held(self) -> bool:
        """Whether some daemon has the lock now. Looks by sharing the lock for a moment, which `acquire` sits out."""
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


def write_health(home: Path, health: dict[str, Any], number: int = 0) -> None:
    """Replace what the daemon (0), or the issuing process with a number, says of its health. Raises `OSError`."""
    path = _health_file(home, number)
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(health, file)
    new.replace(path)


def forget_health(home: Path) -> None:
    """Take back what the daemon said: it ends in order. What is still there when none runs was left by one that did
    not. Raises `OSError`."""
    _health_file(home, 0).unlink(missing_ok=True)


def read_health(home: Path, number: int = 0) -> dict[str, Any] | None:
    """What the daemon, or that process, last said; None if it never did."""
    try:
        found = json.loads(_health_file(home, number).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _health_file(home: Path, number: int) -> Path:
    return home / RUN / (f"issuing-{number}.json" if number else HEALTH)
