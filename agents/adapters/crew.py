"""More issuing processes beside the daemon's own: signing keeps one processor busy, and Python uses one per process.

They work on the same queue and the same ledger, and end with the daemon, however that ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.ports import Clock, Log, Member

PAUSE_FIRST = 1.0
PAUSE_MAX = 60.0
"""Seconds before a process that ended is replaced; doubled from the first to the longest each time it ends again."""

STEADY_SECONDS = 60.0
"""A process that lived for this long was a good one: the pause after it is the first again."""

Hear = Callable[[int], Mapping[str, Any] | None]
"""What was last said in the place with a number."""


@dataclass(slots=True)
class _Place:
    """For one process that should run: the one that does, since when, and from when on another may (monotonic)."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    since: float = 0.0
    due: float = 0.0
    pause: float = PAUSE_FIRST


class IssuingCrew:
    """`count` processes that only issue. Used by one thread."""

    def __init__(self, home: Path, count: int, hear: Hear, clock: Clock, log: Log) -> None:
        program = [sys.executable, "-m", "agents.cli.main", "run", "--home", str(home)]
        self._command = [*program, "--issue-for", str(os.getpid()), "--number"]
        self.wanted = count
        self._hear, self._clock, self._log = hear, clock, log
        self._places = [_Place(number) for number in range(1, count + 1)]

    def tend(self) -> None:
        """Start whoever is missing and due. Raises `OSError` if a process cannot be started; it is due again later."""
        for place in self._places:
            if place.process is not None and place.process.poll() is not None:
                self._mourn(place, place.process)
        for place in self._places:
            if place.process is None and self._clock.monotonic() >= place.due:
                self._start(place)

    def members(self) -> tuple[Member, ...]:
        """Those that run."""
        running = ((place.number, place.process) for place in self._places if place.process is not None)
        return tuple(Member(one.pid, self._hear(number)) for number, one in running if one.poll() is None)

    def stop(self, grace: float) -> None:
        """Let all finish what they have in hand, for `grace` seconds together; then kill those that still run."""
        deadline = self._clock.monotonic() + grace
        crew = [place.process for place in self._places if place.process is not None]
        for one in crew:
            one.terminate()
        for one in crew:
            try:
                one.wait(max(0.0, deadline - self._clock.monotonic()))
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        self._places = []

    def _mourn(self, place: _Place, ended: subprocess.Popen[bytes]) -> None:
        place.process = None
        if self._clock.monotonic() - place.since >= STEADY_SECONDS:
            place.pause = PAUSE_FIRST
        pause = self._put_off(place)
        self._log.error(
            "an issuing process ended",
            pid=ended.pid,
            code=ended.returncode,
            next_in_seconds=pause,
            fix="see its log above",
        )

    def _start(self, place: _Place) -> None:
        try:
            place.process = subprocess.Popen([*self._command, str(place.number)], stdin=subprocess.DEVNULL)  # noqa: S603 - this program
        except OSError:
            self._put_off(place)
            raise
        place.since = self._clock.monotonic()

    def _put_off(self, place: _Place) -> float:
        """Nobody is started in this place for a while, and for longer the next time. Returns how long, in seconds."""
        pause, place.pause = place.pause, min(2 * place.pause, PAUSE_MAX)
        place.due = self._clock.monotonic() + pause
        return pause
