"""The agent at work: one link per issuer it deals with, its own channel, and the truth about both.

Partners are independent: one that cannot be reached, or is configured wrongly, shows in the health report and holds up
nobody else. Links appear when the ledger says so, without a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from agents.errors import AgentError
from agents.ports import Bus, ChannelListener, Crew
from agents.service.supervision import Worker
from agents.service.workplace import Workplace
from protocol.messages import Endpoint
from protocol.names import OrganisationName
from protocol.transaction import Role

REFRESH_SECONDS = 1.0
"""How often the daemon looks for new partners and says how it fares."""

FINISH_SECONDS = 4.0
"""How long a worker may take for what it has in hand when the daemon is told to stop."""

CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Link:
    """A connection to the virtual host of one issuer, and the thread that works on it in one role."""

    bus: Bus
    worker: Worker
    concern: Callable[[], str | None] = lambda: None
    """What keeps its transactions waiting although the link is up; None if nothing does."""


LinkKey = tuple[Role, OrganisationName]
OpenLink = Callable[[Role, OrganisationName], Link]
"""Makes the link for a role and an issuer, not yet started. Raises `AgentError`."""

Report = Callable[[dict[str, Any]], None]


class Daemon:
    """Runs until it is told to stop; then finishes what is in hand."""

    def __init__(
        self,
        place: Workplace,
        open_link: OpenLink,
        listener: ChannelListener | None,
        crew: Crew | None,
        report: Report,
    ) -> None:
        self._us, self._ledger, self._clock, self._log = place.us, place.ledger, place.clock, place.log
        self._open_link, self._listener, self._crew, self._report = open_link, listener, crew, report
        self._links: dict[LinkKey, Link] = {}
        self._faults: dict[LinkKey, str] = {}
        self._listening: Endpoint | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. Raises `AgentError` if the channel cannot be opened at the start."""
        if self._listener:
            self._listening = self._listener.start()
            self._log.info("channel open", address=str(self._listening))
        self._log.info("agent running", organisation=self._us)
        try:
            while True:
                self._refresh()
                self._say()
                if stop.wait(REFRESH_SECONDS):
                    break
        finally:
            self._finish()

    def _refresh(self) -> None:
        """Open the links that the ledger calls for and that are not there yet."""
        try:
            wanted = self._wanted()
        except AgentError as error:
            self._log.error("ledger not readable", why=str(error))
            return
        for key in wanted - self._links.keys():
            self._open(key)
        if self._crew and (Role.ISSUER, self._us) in self._links:
            self._tend(self._crew)

    def _tend(self, crew: Crew) -> None:
        try:
            crew.tend()
        except OSError as error:
            self._log.error("no more issuing processes", why=str(error), fix="check the limits of this user")

    def _wanted(self) -> set[LinkKey]:
        partners = self._ledger.partners()
        issuing = {(Role.ISSUER, self._us)} if any(partner.agreed for partner in partners) else set()
        return issuing | {(Role.REQUESTER, partner.name) for partner in partners if partner.broker}

    def _open(self, key: LinkKey) -> None:
        try:
            link = self._open_link(*key)
        except AgentError as error:
            if self._faults.get(key) != str(error):
                self._log.error("link not opened", role=key[0].value, issuer=key[1], why=str(error))
            self._faults[key] = str(error)
            return
        self._faults.pop(key, None)
        self._links[key] = link
        link.worker.start()
        self._log.info("link opened", role=key[0].value, issuer=key[1])

    def _say(self) -> None:
        try:
            self._report(self.health())
        except OSError as error:
            self._log.error("health not written", why=str(error), fix="make the home writable and check the disk")

    def health(self) -> dict[str, Any]:
        """What runs, what is connected, what is wrong; JSON values only."""
        links = [self._link_health(key, link) for key, link in self._links.items()]
        faults = [
            {"role": role.value, "issuer": issuer, "connected": False, "trouble": why}
            for (role, issuer), why in self._faults.items()
        ]
        channel = str(self._listening) if self._listening else None
        return {
            "at": self._clock.now().isoformat(),
            "links": links + faults,
            "channel": channel,
            "issuing_processes": self._issuing_processes(),
        }

    def _issuing_processes(self) -> dict[str, int] | None:
        """Ours and those of the crew; None while this process alone issues, or nobody."""
        if self._crew is None or (Role.ISSUER, self._us) not in self._links:
            return None
        return {"running": 1 + self._crew.running, "wanted": 1 + self._crew.wanted}

    def _link_health(self, key: LinkKey, link: Link) -> dict[str, Any]:
        health = link.bus.health()
        state = {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(health).items()
        }
        return {
            "role": key[0].value,
            "issuer": key[1],
            **state,
            "trouble": link.worker.health().trouble,
            "concern": link.concern(),
        }

    def _finish(self) -> None:
        """Let every worker end its round, then close the links and the channel. Bounded in time."""
        self._log.info("stopping")
        for link in self._links.values():
            link.worker.stop()
        if self._crew:
            self._crew.stop(FINISH_SECONDS)
        for link in self._links.values():
            if not link.worker.join(FINISH_SECONDS):
                self._log.warning("a worker did not finish", worker=link.worker.name)
        for link in self._links.values():
            link.bus.close(CLOSE_SECONDS)
        if self._listener:
            self._listener.close(CLOSE_SECONDS)
        self._log.info("stopped")
