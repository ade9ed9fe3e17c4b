"""The end of a simulated day: what came, or had to go, too late for the sessions is still delivered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from agents.bootstrap.broker import RunningBroker
from agents.bootstrap.trial import waiting
from agents.simulation.plan import WORKERS
from agents.simulation.processes import Requesters
from agents.simulation.reading import unsent
from agents.simulation.scene import Scene
from protocol.names import OrganisationName
from protocol.topology import reply_queue, request_queue

QUIET_SECONDS = 90.0
"""Longest wait for a queue or an outbox to become empty while no requester is awake."""

AWAKE_SECONDS = 30.0
"""Longest time that requesters are kept awake."""

AT_ONCE, TRIES = 24, 3
"""How many requesters are woken together, and how often each."""

LOOK_SECONDS = 1.0


class Evening:
    """Waits for quiet, and wakes those whose queue or outbox is not empty."""

    def __init__(self, scene: Scene, running: RunningBroker) -> None:
        self._scene, self._running = scene, running
        plan = scene.plan
        self._owners = {reply_queue(name): name for name in plan.requesters}
        self._owners |= {request_queue(name): name for name in plan.issuers}
        self._woken: Counter[OrganisationName] = Counter()

    def wait(self) -> None:
        """Until all is quiet, or nothing helps."""
        everybody = {*self._scene.plan.issuers, *self._scene.plan.requesters}
        concerned = self._concerned(everybody)
        deadline = time.monotonic() + QUIET_SECONDS
        while concerned and time.monotonic() < deadline:
            if sleepers := self._sleepers(concerned):
                self._wake(sleepers)
                deadline = time.monotonic() + QUIET_SECONDS
            else:
                time.sleep(LOOK_SECONDS)
            concerned = self._concerned(concerned | set(self._scene.plan.issuers))

    def _sleepers(self, concerned: Iterable[OrganisationName]) -> list[OrganisationName]:
        requesters = set(self._scene.plan.requesters)
        return [name for name in sorted(concerned) if name in requesters and self._woken[name] < TRIES][:AT_ONCE]

    def _wake(self, sleepers: Sequence[OrganisationName]) -> None:
        self._woken.update(sleepers)
        late = Requesters(self._scene.directory, WORKERS)
        late.start("--drain", *sleepers)
        try:
            deadline = time.monotonic() + AWAKE_SECONDS
            while time.monotonic() < deadline and self._concerned(sleepers) & set(sleepers):
                time.sleep(LOOK_SECONDS)
        finally:
            late.stop()

    def _concerned(self, senders: Iterable[OrganisationName]) -> set[OrganisationName]:
        """Who has something to take or to send. Looks twice before it says that nobody has: what an agent has just
        taken and not answered yet is in no queue and no outbox."""
        found = self._seen_concerned(senders)
        if not found:
            time.sleep(LOOK_SECONDS)
            found = self._seen_concerned(senders)
        return found

    def _seen_concerned(self, senders: Iterable[OrganisationName]) -> set[OrganisationName]:
        """Whose queue holds something, and who of `senders` has something in the outbox."""
        queues = waiting(self._running, self._scene.plan.issuers)
        receivers = {self._owners[queue] for queue in queues if queue in self._owners}
        return receivers | unsent(self._scene, senders).keys()
