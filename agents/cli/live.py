"""A simulation as it runs: a live view on a terminal, plain lines elsewhere, nothing with `--json`."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agents.simulation.outcome import Happening, Watch
from agents.simulation.plan import POISON, Plan, make_plan
from protocol.transaction import Role, State, is_final

if TYPE_CHECKING:
    from agents.simulation.parameters import Parameters

REFRESH_SECONDS = 0.25
SHOWN_STRIKES = 6
LINE_SECONDS = 10.0
"""How often a plain line tells the progress."""

WINDOW_SECONDS = 10.0
"""Throughput is measured over this long."""

_FINAL = frozenset(state for state in State if is_final(Role.REQUESTER, state))


class Progress(Watch):
    """Counts what it is told. A request's state is the last that was told of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lock = threading.Lock()
        self.title = "beginning"
        self.strikes: deque[tuple[float, str, str, bool]] = deque(maxlen=SHOWN_STRIKES)
        self.struck = 0
        self._begun = time.monotonic()
        self._states: dict[int, str] = {}
        self._ends: deque[float] = deque()
        self._poison = {request.number for request in plan.requests if request.kind in POISON}

    def phase(self, title: str) -> None:
        """Another part of the work begins."""
        with self.lock:
            self.title = title

    def happening(self, happening: Happening) -> None:
        """Something became of a request."""
        if not happening.number or (happening.what not in set(State) and happening.number not in self._poison):
            return
        with self.lock:
            was_over = self._is_over(happening.number)
            self._states[happening.number] = happening.what
            if not was_over and self._is_over(happening.number):
                self._ends.append(time.monotonic())

    def strike(self, kind: str, target: str, *, over: bool) -> None:
        """A fault begins, or is over."""
        with self.lock:
            self.struck += not over
            self.strikes.append((self.seconds, kind, target, over))

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._begun

    def states(self) -> Counter[str]:
        """How many requests are in each state; poison that was sent counts as that."""
        return Counter("poison sent" if number in self._poison else state for number, state in self._states.items())

    def over(self) -> int:
        """How many requests have come to an end."""
        return sum(map(self._is_over, self._states))

    def throughput(self) -> float:
        """Requests that came to an end, a second, lately."""
        since = time.monotonic() - WINDOW_SECONDS
        while self._ends and self._ends[0] < since:
            self._ends.popleft()
        return len(self._ends) / WINDOW_SECONDS

    def _is_over(self, number: int) -> bool:
        state = self._states.get(number)
        return state in _FINAL or (number in self._poison and state == "sent")


class PlainProgress(Progress):
    """Says each phase and each strike in a line of its own, and how far it is every few seconds."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._next = 0.0

    def phase(self, title: str) -> None:
        """One line."""
        super().phase(title)
        self._say(title)

    def strike(self, kind: str, target: str, *, over: bool) -> None:
        """One line."""
        super().strike(kind, target, over=over)
        self._say(f"  {target}: {kind}{', over' if over else ''}")

    def happening(self, happening: Happening) -> None:
        """A line now and then."""
        super().happening(happening)
        if self.seconds >= self._next:
            self._next = self.seconds + LINE_SECONDS
            with self.lock:
                states = ", ".join(f"{count} {state}" for state, count in self.states().most_common())
                self._say(f"  {self.over()} of {len(self.plan.requests)} ended ({states})")

    def _say(self, text: str) -> None:
        print(f"{self.seconds:6.1f} s  {text}", flush=True)


@contextmanager
def watching(parameters: Parameters, *, as_json: bool) -> Iterator[Watch]:
    """Who is told, while the block runs."""
    if as_json:
        yield Watch()
    elif sys.stdout.isatty():
        with _live(Progress(make_plan(parameters))) as progress:
            yield progress
    else:
        yield PlainProgress(make_plan(parameters))


@contextmanager
def _live(progress: Progress) -> Iterator[Progress]:
    view = Live(
        console=Console(),
        get_renderable=lambda: _view(progress),
        refresh_per_second=1 / REFRESH_SECONDS,
        transient=True,
    )
    with view:
        yield progress


def _view(progress: Progress) -> Group:
    with progress.lock:
        total, over = len(progress.plan.requests), progress.over()
        head = Text.assemble(
            (f"{progress.title}", "bold"), f"   {progress.seconds:.0f} s   {over} of {total} requests ended   ",
            f"{progress.throughput():.1f}/s   {progress.struck} faults",
        )  # fmt: skip
        states, strikes = _states(progress), _strikes(progress)
    bar = ProgressBar(total=max(total, 1), completed=over, width=60)
    return Group(head, bar, Columns([Panel(states, title="requests"), Panel(strikes, title="faults")]))


def _states(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    for state, count in sorted(progress.states().items(), key=lambda pair: -pair[1]):
        table.add_row(state, f"[bold]{count}[/]")
    return table if table.row_count else _grid("none yet")


def _strikes(progress: Progress) -> Table:
    if not progress.strikes:
        return _grid("none yet")
    table = Table.grid(padding=(0, 2))
    for at, kind, target, over in progress.strikes:
        style = "dim" if over else "red"
        table.add_row(f"{at:.0f} s", Text(f"{target}: {kind}{', over' if over else ''}", style=style))
    return table


def _grid(text: str) -> Table:
    table = Table.grid()
    table.add_row(Text(text, style="dim"))
    return table
