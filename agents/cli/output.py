"""How a result is printed: as JSON for machines or as text for people.

Nothing is printed that could steer a terminal, wherever it came from. To shorten and escape what a partner sent is
the caller's business (`protocol.errors.printable`).
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protocol.errors import Problem

WIDTH = 80
"""Characters in a line of a table and of a remark, where their words allow it."""


def clean(text: str) -> str:
    """`text` with everything escaped but printable characters and line breaks."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


def to_json(result: object, indent: int | None = 2) -> str:
    """`result` as JSON: keys sorted, times in ISO 8601 with their zone, durations in seconds, bytes in hexadecimal."""
    return json.dumps(result, default=_jsonable, indent=indent, sort_keys=True)


def _jsonable(value: Any) -> object:  # noqa: PLR0911 (one line for each kind)
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case set() | frozenset():
            return sorted(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        case _ if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
        case _:
            return str(value)


def at(moment: datetime) -> str:
    """A time for people, to the minute; `moment` is aware UTC."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def short(id: str) -> str:
    """The end of a transaction id, which is random (RFC 9562 section 5.7) and tells it from all others."""
    return id[-12:]


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], notes: Sequence[str] = ()) -> str:
    """Columns as wide as their widest cell, two spaces apart; the last one is wrapped at `WIDTH`.

    Under each row stands its note, if there are notes and it is not empty: its lines are cut where they are too long.
    """
    lines = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = []
    for line, note in zip_longest(lines, ["", *notes], fillvalue=""):
        shown.append(_row(list(line), widths))
        shown += [textwrap.shorten(one, WIDTH, initial_indent="    ", placeholder=" ...") for one in note.splitlines()]
    return "\n".join(shown)


def _row(cells: list[str], widths: list[int]) -> str:
    *first, last = cells
    head = "".join(f"{cell.ljust(width)}  " for cell, width in zip(first, widths, strict=False))
    return wrapped(last, head, " " * len(head)) if last else head.rstrip()


def wrapped(text: str, first: str = "", following: str = "") -> str:
    """`text` in lines of `WIDTH`, words whole; `first` stands before the first line, `following` before the others."""
    return textwrap.fill(
        text,
        max(WIDTH, len(first) + 1),
        initial_indent=first,
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
    )


def fields(pairs: Iterable[tuple[str, object]]) -> str:
    """One line for each name and value, values under each other."""
    named = [(name, str(value)) for name, value in pairs]
    width = max((len(name) for name, _ in named), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}".rstrip() for name, value in named)


def problem_text(problem: Problem) -> str:
    """A problem for people: where and which, what was got, what is allowed, what to do."""
    parts = [("    got", problem.got), ("    allowed", problem.allowed), ("    to do", problem.fix)]
    return f"  {problem.field} [{problem.code}]\n{fields(parts)}"


@dataclass(frozen=True)
class Output:
    """Where the result of a command goes: standard output, in the form that was asked for."""

    as_json: bool = False

    def show(self, result: object, text: str) -> None:
        """Print `result` as JSON or, for a person, `text`, which says the same."""
        print(to_json(result) if self.as_json else clean(text), file=sys.stdout, flush=True)

    def say(self, text: str) -> None:
        """Print lines that only a person needs; nothing with `--json`."""
        if not self.as_json:
            print(clean(text), file=sys.stdout, flush=True)
