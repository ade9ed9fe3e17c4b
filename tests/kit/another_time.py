"""The program as it runs on a machine whose clock is off: `another_time.py SECONDS ARGUMENT...`.

Only the `Clock` adapter is moved. Debian's faketime does not do: with it, Python's waiting on a lock or sleeping fails.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from agents.adapters.clock import SystemClock
from agents.cli.main import main

offset = timedelta(seconds=float(sys.argv.pop(1)))
right = SystemClock.now


def wrong(clock: SystemClock) -> datetime:
    """What this machine takes for the time."""
    return right(clock) + offset


if __name__ == "__main__":
    SystemClock.now = wrong  # type: ignore[method-assign]
    main()
