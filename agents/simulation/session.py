"""One requester at work: its own daemon on a thread, and its operator, who enrolls as planned.

What has been begun is read from its ledger, so that a session that was killed goes on where it stopped.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from agents.bootstrap.agent import Agent
from agents.bootstrap.enrollment import Ask, read_invitation, start
from agents.bootstrap.following import follow
from agents.bootstrap.serving import make_daemon
from agents.bootstrap.trial import post, write_private
from agents.config.agent import FILE
from agents.core.effects import MarkUnpublished, TransactionKey, Unit
from agents.errors import AgentError
from agents.ports import Clock, TransactionRecord
from agents.simulation.mischief import BEGUN_WRONGLY, begin_wrongly, poison
from agents.simulation.plan import POISON, Kind, Request
from agents.simulation.scene import Scene, make_requester
from protocol.csr import NameKind, SubjectName
from protocol.invitation import Invitation
from protocol.names import OrganisationName
from protocol.transaction import Role, State

PATIENCE_SECONDS = 150.0
"""Longest wait for one enrollment to end, faults and a person's approval included."""

POST_TRIES = 30

SETTLE_SECONDS = 60.0
"""Longest wait for the last messages to leave."""

POLL_SECONDS = 0.1

AHEAD = timedelta(hours=1)

Tell = Callable[[OrganisationName, int, str], None]
"""Told of a requester, the number of a request, and what became of it."""


class ShiftedClock:
    """The `Clock` port, off by `ahead`; the monotonic time is right."""

    def __init__(self, right: Clock, ahead: timedelta) -> None:
        self._right = right
        self.ahead = ahead

    def now(self) -> datetime:
        """What this organisation takes for the time."""
        return self._right.now() + self.ahead

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        return self._right.monotonic()

    @contextmanager
    def shifted(self, more: timedelta) -> Iterator[None]:
        """Off by `more` for a while."""
        self.ahead += more
        try:
            yield
        finally:
            self.ahead -= more


class Session:
    """One requester, at work."""

    def __init__(self, scene: Scene, requester: OrganisationName, clock: Clock, tell: Tell) -> None:
        self._scene, self._name, self._tell = scene, requester, tell
        skew = scene.plan.skews[scene.plan.requesters.index(requester)]
        self._clock = ShiftedClock(clock, timedelta(seconds=skew))

    def run(self, request: Request) -> None:
        """Send it when it is due, and stay until it has ended and nothing more has to leave."""
        self._wait_until(request.at)
        with self.at_work() as agent:
            with self._clock.shifted(AHEAD if request.kind is Kind.WRONG_CLOCK else timedelta()):
                self._do(agent, request)
            self._settle(agent, request.issuer)

    def _wait_until(self, at: float) -> None:
        time.sleep(max(0.0, self._scene.started_at + at - (self._clock.now() - self._clock.ahead).timestamp()))

    @contextmanager
    def at_work(self) -> Iterator[Agent]:
        """The agent, while its daemon runs."""
        agent = Agent(self._home(), log_form="json", clock=self._clock)
        agent.lock.acquire()
        stop = threading.Event()
        daemon = threading.Thread(target=make_daemon(agent).run, args=(stop,), name=f"daemon of {self._name}")
        daemon.start()
        try:
            yield agent
        finally:
            stop.set()
            daemon.join()
            agent.ledger.close()
            agent.lock.release()

    def _home(self) -> Path:
        home = self._scene.home(self._name)
        if not (home / FILE).exists():
            shutil.rmtree(home, ignore_errors=True)
            make_requester(self._scene, self._name)
        return home

    def _do(self, agent: Agent, request: Request) -> None:
        try:
            if request.kind in POISON:
                self._post(agent, request)
            else:
                self._enroll(agent, request)
        except AgentError as error:
            agent.log.warning("request not ended", number=request.number, why=str(error))
            self._tell(self._name, request.number, "given up")

    # --- poison

    def _post(self, agent: Agent, request: Request) -> None:
        """The same octets until the broker has confirmed them."""
        file, sent = self._scene.sealed(request), self._scene.sealed(request).with_suffix(".sent")
        if not file.exists():
            write_private(file, poison(agent, request, self._victim()))
        for _ in range(POST_TRIES):
            if sent.exists() or post(agent, request.issuer, file.read_bytes(), f"poison-{request.number}"):
                sent.touch()
                self._tell(self._name, request.number, "sent")
                return
        self._tell(self._name, request.number, "given up")

    def _victim(self) -> OrganisationName:
        others = [name for name in self._scene.plan.requesters if name != self._name]
        return others[self._scene.plan.requesters.index(self._name) - 1] if others else OrganisationName("nobody")

    # --- enrollments

    def _enroll(self, agent: Agent, request: Request) -> None:
        key = self._begun(agent, request) or self._begin(agent, request)
        left = {"enrollment.request"} if request.repeated else set()

        def changed(record: TransactionRecord) -> None:
            self._tell(self._name, request.number, record.state.value)
            if record.state is not State.CREATED and left:
                self._publish_again(agent, key, left.pop())

        follow(agent, key, PATIENCE_SECONDS, changed)
        if request.replayed:
            for kind in ("enrollment.confirmation", "enrollment.request"):
                self._publish_again(agent, key, kind)
            self._tell(self._name, request.number, "replayed")

    def _begun(self, agent: Agent, request: Request) -> TransactionKey | None:
        records = agent.ledger.list_transactions(Role.REQUESTER, partner=request.issuer)
        return next((record.key for record in records if f"dns:{request.name}" in record.names), None)

    def _begin(self, agent: Agent, request: Request) -> TransactionKey:
        invitation = self._invitation(request)
        if request.kind in BEGUN_WRONGLY:
            return begin_wrongly(agent, self._scene, request, invitation)
        ask = Ask(request.issuer, (SubjectName(NameKind.DNS, request.name),))
        return start(agent, ask, invitation)

    def _invitation(self, request: Request) -> Invitation | None:
        """Until the issuer knows us, by a certificate that it issued before; and where it is used once more."""
        known = any(
            before.issuer == request.issuer and before.kind is Kind.GOOD
            for before in self._scene.plan.of(self._name)
            if before.number < request.number
        )
        if known and request.kind is not Kind.REUSED_INVITATION:
            return None
        return read_invitation(self._scene.invitation(request), None)

    def _publish_again(self, agent: Agent, key: TransactionKey, kind: str) -> None:
        if agent.ledger.message(key, kind):
            agent.ledger.commit([Unit((MarkUnpublished(key, kind),))])
            self._tell(self._name, 0, "published again")

    def _settle(self, agent: Agent, issuer: OrganisationName) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while agent.ledger.outbox(issuer, 1) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
