"""Work shown step by step as it happens: what is done, whether it worked, what was seen, how long it took."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from agents.cli.output import clean

GREEN, RED, DIM = "32", "31", "2"
ERASE_LINE = "\r\x1b[K"
"""ECMA-48: graphic renditions, and what removes a line that is still unfinished."""


@dataclass
class Step:
    """One step and what was seen in it. `seconds` is the time it took; `done` is false when it failed."""

    title: str
    seen: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    done: bool = False

    def saw(self, name: str, value: object) -> None:
        """Note something that the step found or checked; text from a partner goes through `printable` first."""
        self.seen[name] = str(value)


class Steps:
    """Prints each step on `stream`; silent without one (`--json`), where `taken` is part of the result instead."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        self.taken: list[Step] = []

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show that `title` is under way; when the block ends, a tick, or a cross if it raises, and what it saw."""
        step = Step(title)
        self.taken.append(step)
        self._begin(step)
        started = time.perf_counter()
        try:
            yield step
            step.done = True
        finally:
            step.seconds = round(time.perf_counter() - started, 3)
            self._end(step)

    def _begin(self, step: Step) -> None:
        if self._terminal:
            self._write(f"  {self._mark('…', '.')} {clean(step.title)}", end="")

    def _end(self, step: Step) -> None:
        mark = self._paint(self._mark("✔", "ok"), GREEN) if step.done else self._paint(self._mark("✘", "FAILED"), RED)
        took = self._paint(f"({step.seconds:.2f} s)", DIM)
        self._write(f"{ERASE_LINE if self._terminal else ''}  {mark} {clean(step.title)} {took}")
        width = max(map(len, step.seen), default=0)
        for name, value in step.seen.items():
            self._write(f"      {self._paint(clean(name).ljust(width), DIM)}  {clean(value)}")

    @property
    def _terminal(self) -> bool:
        return self.stream is not None and self.stream.isatty()

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._terminal and not os.environ.get("NO_COLOR") else text

    def _mark(self, symbol: str, plain: str) -> str:
        """`symbol`, or `plain` where the stream cannot show it."""
        encoding = getattr(self.stream, "encoding", None) or "ascii"
        return symbol if encoding.lower().startswith("utf") else plain

    def _write(self, text: str, end: str = "\n") -> None:
        if self.stream is not None:
            print(text, file=self.stream, end=end, flush=True)


def steps(*, as_json: bool) -> Steps:
    """Steps on standard output, or silent ones with `--json`."""
    return Steps(None if as_json else sys.stdout)
