"""Kill a process at every point where it touches the file system, one after the other."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator

EVENTS = frozenset({"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "shutil.rmtree"})
POINTS_MAX = 500


def crash_points(action: Callable[[], object], events: Collection[str] = EVENTS) -> Iterator[int]:
    """Run `action` in children that are killed (SIGKILL) just before their first, second, ... change of the file
    system, or of those in `events` alone; yield after each death. Ends with the first child that survives.
    """
    for point in range(1, POINTS_MAX):
        if not _dies(action, point, events):
            return
        yield point
    raise AssertionError(f"still dying after {POINTS_MAX} points")


def _dies(action: Callable[[], object], point: int, events: Collection[str]) -> bool:
    child = os.fork()
    if child == 0:
        _run_until(point, action, events)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the action failed in the child"
    return False


def _run_until(point: int, action: Callable[[], object], events: Collection[str]) -> None:
    seen = 0

    def count(event: str, _arguments: object) -> None:
        nonlocal seen
        if event in events:
            seen += 1
            if seen == point:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    try:
        action()
    except BaseException:  # noqa: BLE001 (the child has nobody to tell but its parent)
        os._exit(1)
    os._exit(0)
