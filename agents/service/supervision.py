"""Threads that do a service's rounds until they are told to stop, and say how they fare.

A fault of the ledger or the disk pauses one worker, gives its messages back to the broker, and is said in its health;
the others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from agents.errors import AgentError
from agents.ports import Bus, Log

ROUND_SECONDS = 0.2
"""Longest wait for messages in one round; also how soon something that another process recorded is noticed."""

PAUSE_SECONDS = 5.0
"""Pause after a round that failed."""


class Worker:
    """One thread that calls `work(timeout)` again and again."""

    def __init__(self, name: str, work: Callable[[float], object], bus: Bus, log: Log) -> None:
        self.name = name
        self._work, self._bus, self._log = work, bus, log
        self._stop = threading.Event()
        self.trouble: str | None = None
        """What made its last round fail, None if it went well."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end: what is in hand is finished first."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Whether the thread has ended, waiting up to `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._work(ROUND_SECONDS)
                self.trouble = None
            except AgentError as error:
                self._pause(str(error))
            except Exception as error:  # noqa: BLE001 - a fault in our code must not end the thread in silence
                self._log.exception("a round failed", worker=self.name, fix="report this with the log")
                self._pause(f"{type(error).__name__}: a fault in the program")

    def _pause(self, trouble: str) -> None:
        self.trouble = trouble
        self._log.error("pausing", worker=self.name, why=trouble, seconds=PAUSE_SECONDS)
        self._bus.suspend(PAUSE_SECONDS)
        self._stop.wait(PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Link:
    """A connection to the virtual host of one issuer, and the thread that works on it in one role."""

    bus: Bus
    worker: Worker
    concern: Callable[[], str | None] = lambda: None
    """What keeps its transactions waiting although the link is up; None if nothing does."""
