"""A process of requesters: `python -m agents.simulation.worker DIRECTORY NUMBER [--drain REQUESTER...]`.

Each request is a session of its requester on threads of its own; at most `SESSIONS` run at once, which bounds memory
and the processor whatever the number of requesters. With `--drain` the named requesters only take what waits for them,
until SIGTERM.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from agents.bootstrap.trial import system_clock
from agents.simulation.plan import Request
from agents.simulation.scene import DONE, Scene, load_scene
from agents.simulation.session import Session
from agents.simulation.tail import Tail
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
    """Do what is left of this process's share. Returns how many sessions failed; why is on standard error."""
    done = {line["number"] for line in Tail(scene.events(number)).new() if line["what"] == DONE}
    events = Events(scene.events(number))
    latest: dict[OrganisationName, Future[None]] = {}
    with ThreadPoolExecutor(SESSIONS) as pool:
        sessions = []
        for request in scene.plan.share(number):
            if request.number not in done:
                session = pool.submit(_session, scene, events, request, latest.get(request.requester))
                latest[request.requester] = session
                sessions.append(session)
    failed = [error for one in sessions if (error := one.exception())]
    for error in failed:
        print(json.dumps({"event": "a session failed", "why": repr(error)}), file=sys.stderr)  # noqa: T201 - the log
    return len(failed)


def _session(scene: Scene, events: Events, request: Request, before: Future[None] | None) -> None:
    """After the session before, of the same requester: one at a time is at work in its home."""
    if before:
        before.exception()
    Session(scene, request.requester, system_clock(), events.tell).run(request)
    events.tell(request.requester, request.number, DONE)


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
