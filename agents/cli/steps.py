"""Work shown step by step as it happens: what is done, whether it worked, what was seen, how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.text import Text

from agents.cli.output import clean


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
        self.taken: list[Step] = []
        self._console = Console(file=stream, highlight=False, soft_wrap=True) if stream else None

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show that `title` is under way; when the block ends, a tick, or a cross if it raises, and what it saw."""
        step = Step(title)
        self.taken.append(step)
        started = time.perf_counter()
        try:
            with self._under_way(title):
                yield step
            step.done = True
        finally:
            step.seconds = round(time.perf_counter() - started, 3)
            self._show(step)

    def _under_way(self, title: str) -> AbstractContextManager[object]:
        """A spinner on a terminal, nothing elsewhere."""
        on_terminal = self._console is not None and self._console.is_terminal
        return self._console.status(Text(clean(title))) if self._console and on_terminal else nullcontext()

    def _show(self, step: Step) -> None:
        if self._console is None:
            return
        mark = Text(self._mark("✔", "ok"), "green") if step.done else Text(self._mark("✘", "FAILED"), "red")
        self._console.print(Text.assemble("  ", mark, " ", clean(step.title), (f" ({step.seconds:.2f} s)", "dim")))
        width = max(map(len, step.seen), default=0)
        for name, value in step.seen.items():
            self._console.print(Text.assemble("      ", (clean(name).ljust(width), "dim"), "  ", clean(value)))

    def _mark(self, symbol: str, plain: str) -> str:
        """`symbol`, or `plain` where the stream cannot show it."""
        encoding = self._console.encoding if self._console else "ascii"
        return symbol if encoding.startswith("utf") else plain
