"""The agent at work: one link per issuer it deals with, its own channel, and the truth about both.

Partners are independent: one that cannot be reached, or is configured wrongly, shows in the health report and holds up
nobody else. Links appear when the ledger says so, without a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from agents.core.health import crew_troubles
from agents.errors import AgentError
from agents.ports import ChannelListener, Crew
from agents.service.reports import Report, fault_report, link_report, state_of_member
from agents.service.supervision import Link
from agents.service.workplace import Workplace
from protocol.messages import Endpoint
from protocol.names import OrganisationName
from protocol.transaction import Role

REFRESH_SECONDS = 1.0
"""How often the daemon looks for new partners and says how it fares."""

FINISH_SECONDS = 4.0
"""How long a worker may take for what it has in hand when the daemon is told to stop."""

CLOSE_SECONDS = 2.0


LinkKey = tuple[Role, OrganisationName]
OpenLink = Callable[[Role, OrganisationName], Link]
"""Makes the link for a role and an issuer, not yet started. Raises `AgentError`."""

Say = Callable[[Report], None]
"""Writes the health report down. Raises `OSError`."""


class Daemon:
    """Runs until it is told to stop; then finishes what is in hand."""

    def __init__(
        self,
        place: Workplace,
        open_link: OpenLink,
        listener: ChannelListener | None,
        crew: Crew | None,
        say: Say,
    ) -> None:
        self._us, self._ledger, self._clock, self._log = place.us, place.ledger, place.clock, place.log
        self._open_link, self._listener, self._crew, self._write = open_link, listener, crew, say
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
            self._write(self.health())
        except OSError as error:
            self._log.error("health not written", why=str(error), fix="make the home writable and check the disk")

    def health(self) -> Report:
        """What runs, what is connected, what is wrong."""
        links = [link_report(*key, link) for key, link in self._links.items()]
        faults = [fault_report(*key, why) for key, why in self._faults.items()]
        return {
            "at": self._clock.now().isoformat(),
            "links": links + faults,
            "channel": str(self._listening) if self._listening else None,
            "issuing_processes": self._issuing_processes(),
        }

    def _issuing_processes(self) -> Report | None:
        """Ours and those of the crew; None while this process alone issues, or nobody."""
        if self._crew is None or (Role.ISSUER, self._us) not in self._links:
            return None
        members = list(map(state_of_member, self._crew.members()))
        troubles = crew_troubles(members, self._crew.wanted, self._clock.now())
        return {"running": 1 + len(members), "wanted": 1 + self._crew.wanted, "troubles": list(troubles)}

    def _finish(self) -> None:
        """Let every worker end its round, then close the links and the channel. Bounded in time, however many there
        are: whoever told us to stop kills us after a while."""
        self._log.info("stopping")
        deadline = self._clock.monotonic() + FINISH_SECONDS
        for link in self._links.values():
            link.worker.stop()
        if self._crew:
            self._crew.stop(FINISH_SECONDS)
        for link in self._links.values():
            if not link.worker.join(max(0.0, deadline - self._clock.monotonic())):
                self._log.warning("a worker did not finish", worker=link.worker.name)
        self._close_links()
        if self._listener:
            self._listener.close(CLOSE_SECONDS)
        self._log.info("stopped")

    def _close_links(self) -> None:
        """All at once: each may take its time where the broker does not answer."""
        closing = [threading.Thread(target=link.bus.close, args=(CLOSE_SECONDS,)) for link in self._links.values()]
        for one in closing:
            one.start()
        for one in closing:
            one.join()
