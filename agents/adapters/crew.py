"""More issuer processes beside the daemon's own: signing keeps one processor busy, and Python uses one per process.

They work on the same queue and the same ledger, and end with the daemon, however that ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from agents.ports import Log


class IssuingCrew:
    """`count` processes that only issue. Used by one thread."""

    def __init__(self, home: Path, count: int, log: Log) -> None:
        program = [sys.executable, "-m", "agents.cli.main", "run", "--home", str(home)]
        self._command = [*program, "--issue-for", str(os.getpid())]
        self.wanted, self.running = count, 0
        self._log = log
        self._crew: list[subprocess.Popen[bytes]] = []

    def tend(self) -> None:
        """Start whoever is missing. Raises `OSError` if a process cannot be started."""
        for ended in [one for one in self._crew if one.poll() is not None]:
            self._log.error("an issuing process ended", pid=ended.pid, code=ended.returncode, fix="see its log above")
            self._crew.remove(ended)
        self.running = len(self._crew)
        while len(self._crew) < self.wanted:
            self._crew.append(subprocess.Popen(self._command, stdin=subprocess.DEVNULL))  # noqa: S603 - this program

    def stop(self, grace: float) -> None:
        """Let each finish what it has in hand, for `grace` seconds; then kill it."""
        for one in self._crew:
            one.terminate()
        for one in self._crew:
            try:
                one.wait(grace)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        self._crew = []
