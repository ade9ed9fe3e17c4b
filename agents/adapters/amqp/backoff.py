"""When to try again: exponential with full jitter, so that a thousand agents do not return to a broker at once."""

from __future__ import annotations

from random import SystemRandom

_DOUBLINGS_MAX = 32
"""Beyond this the ceiling is far above any longest delay; keeps the power small."""


class Backoff:
    """Delays in seconds. Not thread-safe."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._failures = 0
        self._uniform = SystemRandom().uniform

    def reset(self) -> None:
        """It works again: the next delay is a short one."""
        self._failures = 0

    def next(self) -> float:
        """How long to wait after one more failure."""
        ceiling = min(self._longest, self._first * 2 ** min(self._failures, _DOUBLINGS_MAX))
        self._failures += 1
        return self._uniform(0, ceiling)

    def longest(self) -> float:
        """How long to wait when only a person can mend it."""
        return self._longest
