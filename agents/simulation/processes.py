"""The processes of a simulation, each of which can be killed and started again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agents.bootstrap.demo import Process

STOP_SECONDS = 10.0


class Issuer:
    """The daemon of one issuer."""

    def __init__(self, name: str, start: Callable[[], Process]) -> None:
        self.name = name
        self._start = start
        self._process: Process | None = None

    def start(self) -> None:
        """Start it."""
        self._process = self._start()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process:
            self._process.kill()

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process:
            self._process.stop()


class Requesters:
    """One process of requesters, which can be killed and started again as long as it has something to do."""

    def __init__(self, directory: Path, number: int) -> None:
        self.name = f"requesters {number + 1}"
        self._directory, self._number = directory, number
        self._process: subprocess.Popen[bytes] | None = None
        self._status: int | None = None

    def start(self, *more: str) -> None:
        """Start it, unless it has ended its work."""
        if self.ended and not more:
            return
        with (self._directory / f"requesters-{self._number}.log").open("ab") as log:
            command = [sys.executable, "-m", "agents.simulation.worker", str(self._directory), str(self._number), *more]
            self._process = subprocess.Popen(  # noqa: S603 - this program itself, no shell
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def ended(self) -> bool:
        """Whether it came to the end of its work; being killed is no end."""
        if self._process and self._status is None and (status := self._process.poll()) is not None and status >= 0:
            self._status = status
        return self._status is not None

    def kill(self) -> None:
        """SIGKILL, unless it has ended its work."""
        if self._process and not self.ended:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
                return
            self._process.kill()
            self._process.wait()
