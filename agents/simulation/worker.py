"""A process of requesters: `python -m agents.simulation.worker DIRECTORY NUMBER [--drain REQUESTER...]`.

Each requester is a session on threads of its own; at most `SESSIONS` are at work at once, which bounds memory and the
processor whatever the number of requesters. With `--drain` the named ones only take what waits for them, until SIGTERM.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from agents.bootstrap.trial import system_clock
from agents.simulation.scene import Scene, load_scene
from agents.simulation.session import Session
from protocol.names import OrganisationName

SESSIONS = 24
"""Requesters of one process that are at work at once."""


class Events:
    """Tells the process that started us what happens: appends to a file, so that nothing is lost when we are killed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()
        self._clock = system_clock()

    def tell(self, requester: OrganisationName, number: int, what: str) -> None:
        """One line."""
        line = json.dumps({"at": self._clock.now().timestamp(), "requester": requester, "number": number, "what": what})
        with self._lock:
            self._file.write(f"{line}\n")


def work(scene: Scene, number: int) -> int:
    """Run all sessions of this process. Returns how many ended with an error, which is on standard error."""
    events, clock = Events(scene.events(number)), system_clock()
    with ThreadPoolExecutor(SESSIONS) as pool:
        sessions = [Session(scene, name, clock, events.tell) for name in scene.plan.share(number)]
        ended = [pool.submit(session.run) for session in sessions]
    failed = [error for one in ended if (error := one.exception())]
    for error in failed:
        print(json.dumps({"event": "a session failed", "why": repr(error)}), file=sys.stderr)  # noqa: T201 - the log
    return len(failed)


def drain(scene: Scene, requesters: Sequence[str]) -> None:
    """Be there for messages that came too late for the sessions."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with ExitStack() as stack:
        for requester in requesters:
            session = Session(scene, OrganisationName(requester), system_clock(), lambda *_: None)
            stack.enter_context(session.at_work())
        stop.wait()


def main(arguments: Sequence[str]) -> int:
    """The process. Returns its exit status: 0, or 1 if a session failed."""
    scene = load_scene(Path(arguments[0]))
    if "--drain" in arguments:
        drain(scene, arguments[3:])
        return 0
    return 1 if work(scene, int(arguments[1])) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
