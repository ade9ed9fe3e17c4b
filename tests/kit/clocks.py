"""Clocks that tests move by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class HandClock:
    """The `Clock` port: stands still until it is moved. Starts at the real time, for TLS looks at that."""

    def __init__(self, start: datetime | None = None) -> None:
        self.start = self._now = start or datetime.now(UTC)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 1000.0 + (self._now - self.start).total_seconds()

    def move(self, **span: float) -> None:
        """Move on, by the arguments of `timedelta`."""
        self._now += timedelta(**span)
