"""The system clock. Left out: whether it is right; errors about time show by how much two clocks differ."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The `Clock` port over the operating system."""

    def now(self) -> datetime:
        """The time: aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never run backwards, from an arbitrary start."""
        return time.monotonic()
