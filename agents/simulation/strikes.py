"""Carries the planned faults out on processes, the broker and network links. Each strike has a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from agents.bootstrap.broker import OwnBroker
from agents.bootstrap.trial import NetworkLink
from agents.errors import AgentError
from agents.simulation.parameters import StrikeKind
from agents.simulation.plan import Strike

KILL_AGAIN_SECONDS = 0.2
"""How often a broker is killed that a strike may just be starting again."""


class Killable(Protocol):
    """A process that can be killed and started again."""

    name: str

    def kill(self) -> None:
        """SIGKILL."""

    def start(self) -> None:
        """Start it, or do nothing where it has ended its work."""


@dataclass
class Targets:
    """What can be struck. A thing is struck by one at a time."""

    broker: OwnBroker
    issuers: Sequence[Killable]
    workers: Sequence[Killable]
    links: Sequence[tuple[str, NetworkLink]]
    locks: dict[object, threading.Lock] = field(default_factory=dict)

    def lock(self, thing: object) -> threading.Lock:
        """Held while `thing` is struck."""
        return self.locks.setdefault(id(thing), threading.Lock())


Note = Callable[[Strike, str, float], None]
"""Told of a strike when it is over: what it hit, and for how many seconds."""

Begun = Callable[[Strike, str], None]


class Striker:
    """Strikes as planned, until all has been done."""

    def __init__(self, targets: Targets, strikes: Sequence[Strike], begun: Begun, ended: Note) -> None:
        self._targets, self._begun, self._ended = targets, begun, ended
        self._threads = [threading.Thread(target=self._run, args=(strike,), daemon=True) for strike in strikes]
        self._halt = threading.Event()
        self._started = 0.0
        self.faults: list[str] = []
        """What could not be done."""

    def start(self) -> None:
        """The plan counts from now."""
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until every strike is over and mended."""
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """No more strikes, and nothing that was killed is started again. A broker that is just being restarted is
        killed: its coming back, which can take minutes, is not waited for."""
        self._halt.set()
        for thread in self._threads:
            while thread.is_alive():
                with suppress(AgentError):
                    self._targets.broker.kill()
                thread.join(KILL_AGAIN_SECONDS)

    def _run(self, strike: Strike) -> None:
        name, thing, how = self._chosen(strike)
        if self._halt.wait(max(0.0, self._started + strike.at - time.monotonic())):
            return
        with self._targets.lock(thing):
            lasted = self._strike(strike, name, how)
            self._halt.wait(lasted)  # left alone for as long: a broker that is slow to come back is not kept away

    def _strike(self, strike: Strike, name: str, how: Callable[[], None]) -> float:
        begun = time.monotonic()
        self._begun(strike, name)
        try:
            how()
        except Exception as error:  # noqa: BLE001 - one strike that fails must not hide the others
            self.faults.append(f"{strike.kind} on {name}: {error}")
        lasted = time.monotonic() - begun
        self._ended(strike, name, lasted)
        return lasted

    def _chosen(self, strike: Strike) -> tuple[str, object, Callable[[], None]]:
        """What is hit, and what is done to it."""
        targets = self._targets
        match strike.kind:
            case StrikeKind.KILL_ISSUER | StrikeKind.KILL_REQUESTERS:
                killable = targets.issuers if strike.kind is StrikeKind.KILL_ISSUER else targets.workers
                process = killable[strike.target % len(killable)]
                return process.name, process, lambda: self._kill(process, strike.seconds)
            case StrikeKind.RESTART_BROKER:
                return "broker", targets.broker, targets.broker.restart
            case StrikeKind.KILL_BROKER:
                return "broker", targets.broker, lambda: self._kill(targets.broker, strike.seconds)
            case StrikeKind.RESET:
                name, link = self._link(strike)
                return name, link, link.reset
            case StrikeKind.FREEZE:
                name, link = self._link(strike)
                return name, link, lambda: self._for_a_while(strike.seconds, link.freeze, link.thaw)
            case StrikeKind.REFUSE:
                name, link = self._link(strike)
                return name, link, lambda: self._for_a_while(strike.seconds, link.refuse, link.admit)
            case never:
                assert_never(never)

    def _link(self, strike: Strike) -> tuple[str, NetworkLink]:
        return self._targets.links[strike.target % len(self._targets.links)]

    def _kill(self, process: Killable | OwnBroker, seconds: float) -> None:
        process.kill()
        if not self._halt.wait(seconds):
            process.start()

    def _for_a_while(self, seconds: float, begin: Callable[[], None], end: Callable[[], None]) -> None:
        begin()
        self._halt.wait(seconds)
        end()
