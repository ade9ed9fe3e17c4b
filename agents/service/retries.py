"""When to try again, or to send again: after waits that double, a little different for each thing that is tried."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar
from zlib import crc32

JITTER = 0.25
"""Share by which waits are shortened at most, so that what failed together is not tried together for ever."""

FORGOTTEN_AFTER = 60.0
"""Seconds after which what is due and was not tried again has been settled in another way."""

Key = TypeVar("Key", bound=Hashable)
Why = TypeVar("Why")


@dataclass(frozen=True, slots=True)
class Doubling:
    """Waits in seconds: the first, then each twice the one before, up to the longest. All those of one `key` are
    shorter by a share that the key decides, so that nothing need be remembered but how many there were."""

    first: float
    longest: float

    def wait(self, number: int, key: object) -> float:
        """How long the wait with this number is; the first is number 0."""
        exponent = min(number, 64)  # far beyond any longest wait, and no larger than a float can hold
        return _pace(key) * min(self.first * 2.0**exponent, self.longest)

    def passed(self, seconds: float, key: object) -> int:
        """How many waits, one after the other, end within so many seconds."""
        number = 0
        while self.wait(number, key) <= seconds and self.wait(number, key) < _pace(key) * self.longest:
            seconds -= self.wait(number, key)
            number += 1
        return number + max(0, int(seconds // self.wait(number, key)))


def _pace(key: object) -> float:
    """Always the same for one key, and evenly spread over many."""
    return 1 - JITTER * crc32(str(key).encode()) / 2**32


@dataclass(frozen=True, slots=True)
class Retry(Generic[Why]):
    """What was put off: until when (monotonic), how many times by now, and why."""

    due: float
    times: int
    why: Why


class Retries(Generic[Key, Why]):
    """What was tried in vain and waits for its next turn. Used by one thread; `whys` may be asked by any."""

    def __init__(self, waits: Doubling) -> None:
        self._waits = waits
        self._retries: dict[Key, Retry[Why]] = {}

    def is_due(self, key: Key, now: float) -> bool:
        """Whether its turn has come: at once for what was never put off."""
        retry = self._retries.get(key)
        return retry is None or retry.due <= now

    def put_off(self, key: Key, now: float, why: Why) -> float:
        """Let it wait once more, longer than the last time. Returns for how many seconds."""
        last = self._retries.get(key)
        times = last.times if last else 0
        wait = self._waits.wait(times, key)
        self._retries[key] = Retry(now + wait, times + 1, why)
        return wait

    def settle(self, key: Key) -> None:
        """It need not be tried again."""
        self._retries.pop(key, None)

    def keep(self, now: float, is_wanted: Callable[[Key, Why], bool] = lambda _key, _why: True) -> None:
        """Forget what is no longer wanted, and what has been settled in another way."""
        self._retries = {
            key: retry for key, retry in self._retries.items() if _waits(retry, now) and is_wanted(key, retry.why)
        }

    def whys(self, now: float) -> tuple[Why, ...]:
        """Why each thing waits that does."""
        return tuple(retry.why for retry in tuple(self._retries.values()) if _waits(retry, now))


def _waits(retry: Retry[Why], now: float) -> bool:
    return now < retry.due + FORGOTTEN_AFTER
