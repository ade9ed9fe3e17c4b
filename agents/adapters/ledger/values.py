"""Values as the tables hold them: moments as microseconds since 1970 UTC, lists and problems as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from protocol.errors import Problem

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """`moment` as stored. A naive one is a bug and raises `TypeError`."""
    return (moment - EPOCH) // _MICROSECOND


def moment(stored: int) -> datetime:
    """The aware time in UTC that `micros` stored."""
    return EPOCH + timedelta(microseconds=stored)


def words_json(words: Iterable[str]) -> str:
    """Words as a JSON array."""
    return json.dumps([*words])


def problems_json(problems: Iterable[Problem]) -> str:
    """Problems as a JSON array of objects."""
    return json.dumps([found.model_dump(mode="json") for found in problems])


def words(stored: str) -> tuple[str, ...]:
    """The words that `words_json` stored."""
    return tuple(json.loads(stored))


def problems(stored: str) -> tuple[Problem, ...]:
    """The problems that `problems_json` stored."""
    return tuple(Problem.model_validate(found) for found in json.loads(stored))
