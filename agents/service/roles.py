"""The services of one virtual host put together, once for each role that an agent can have in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from agents.ports import Bus, ChannelDialer, CredentialStore
from agents.service.answering import Answering, PolicyOf
from agents.service.authority import Authority
from agents.service.handling import Handling
from agents.service.inbox import Inbox
from agents.service.installing import Installing
from agents.service.issuing import Issuing
from agents.service.partners import Partners
from agents.service.relay import Relay
from agents.service.repetition import Repetition
from agents.service.requesting import Requesting
from agents.service.upkeep import Upkeep
from agents.service.workplace import Workplace
from protocol.envelope import Sealer
from protocol.names import OrganisationName
from protocol.transaction import Role


@dataclass(frozen=True, slots=True)
class Requester:
    """We, as a requester of one issuer. Used by one thread."""

    requesting: Requesting
    repetition: Repetition
    installing: Installing

    def work(self, timeout: float) -> None:
        """One round: messages, what has to be sent again, then what is issued is taken a step further. Raises
        `LedgerUnavailableError`."""
        self.requesting.work(timeout)
        self.repetition.work()
        self.installing.work()

    def concern(self) -> str | None:
        """Why something waits, as far as that shows from here; None if all is well. May be asked by any thread."""
        return self.requesting.concern() or self.installing.concern()


def requester(
    place: Workplace,
    issuer: OrganisationName,
    bus: Bus,
    sealer: Sealer,
    store: CredentialStore,
    dialer: ChannelDialer,
) -> Requester:
    """The requester's services for `issuer`."""
    installing = Installing(place, issuer, sealer, store, dialer)
    return Requester(Requesting(place, issuer, bus, sealer), Repetition(place, issuer), installing)


@dataclass(frozen=True, slots=True)
class Issuer:
    """We, as the issuer of our own virtual host. Used by one thread."""

    issuing: Issuing
    upkeep: Upkeep
    relay: Relay

    def work(self, timeout: float) -> None:
        """One round: new messages, then what is due by the clock. Raises `LedgerUnavailableError`."""
        self.issuing.work(timeout)
        self.upkeep.work()

    def concern(self) -> str | None:
        """Why something waits, as far as that shows from here; None if all is well. May be asked by any thread."""
        return self.relay.concern()


def issuer(
    place: Workplace,
    bus: Bus,
    sealer: Sealer,
    authority: Authority,
    policy_of: PolicyOf,
    confirm_within: timedelta,
) -> Issuer:
    """The issuer's services. Of several processes that issue, one alone does the upkeep: the others call
    `Issuer.issuing.work`."""
    partners = Partners(place, Role.REQUESTER)
    answering = Answering(place, partners, policy_of, authority, sealer)
    inbox, relay = Inbox(place, place.us, partners), Relay(place, place.us, bus)
    upkeep = Upkeep(place, answering, inbox, relay, confirm_within)
    return Issuer(Issuing(place, bus, inbox, Handling(place, inbox, answering, sealer), answering), upkeep, relay)
