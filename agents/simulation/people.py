"""The people at the issuers who approve and deny what is held, each in the planned time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from agents.bootstrap.agent import Agent
from agents.bootstrap.approval import decide, held
from agents.errors import AgentError
from agents.simulation.plan import Kind, Request
from agents.simulation.scene import Scene

LOOK_SECONDS = 0.5

Decided = Callable[[Request, bool], None]


class People:
    """One thread that looks at what is held at every issuer, until stopped."""

    def __init__(self, scene: Scene, decided: Decided) -> None:
        self._agents = [Agent(scene.home(issuer)) for issuer in scene.plan.issuers]
        self._requests = {f"dns:{request.name}": request for request in scene.plan.requests}
        self._seen: dict[str, float] = {}
        self._decided = decided
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="people", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for agent in self._agents:
            agent.ledger.close()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            for agent in self._agents:
                try:
                    self._look(agent)
                except AgentError as error:  # a busy ledger, or somebody decided meanwhile: look again
                    agent.log.warning("not decided", why=str(error))

    def _look(self, agent: Agent) -> None:
        for record in held(agent):
            request = self._requests.get(record.names[0])
            since = self._seen.setdefault(record.key.id, time.monotonic())
            if request and time.monotonic() - since >= request.approval_seconds:
                allow = request.kind is not Kind.DENIED
                decide(agent, record.key.id, allow=allow, reason="" if allow else "not this quarter")
                self._decided(request, allow)
