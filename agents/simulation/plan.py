"""The plan of a simulation: who asks whom for what and when, what is wrong with it, and what strikes in between.

Pure, and a function of the parameters alone: the same seed gives the same plan on every machine. What real processes
make of it, to the millisecond, is not promised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from agents.simulation.parameters import Parameters, StrikeKind
from protocol.names import OrganisationName

LINES = 4
"""Network links that the requesters share; what strikes one of them strikes that share of the requesters."""

WORKERS = 2
"""Processes in which requesters run."""

MANUAL_SHARE = 0.08
"""Share of the agreements in which a person must approve, besides those where one is denied."""

SECOND_ISSUER_SHARE = 0.15
"""Share of the further requests that go to another issuer than the requester's first."""

APPROVAL_SECONDS = (1.0, 20.0)
"""How long a person takes; in a short simulation never longer than a quarter of it, or twice the least."""


class Kind(StrEnum):
    """What is wrong with a request, if anything."""

    GOOD = "good"
    OUT_OF_POLICY = "name out of policy"
    WEAK_KEY = "weak key"
    EXPIRED_INVITATION = "expired invitation"
    REUSED_INVITATION = "reused invitation"
    WRONG_CLOCK = "clock an hour ahead"
    DENIED = "denied by a person"
    FORGED = "forged envelope"
    GARBAGE = "garbage"


SHARES = {
    Kind.OUT_OF_POLICY: 0.04,
    Kind.WEAK_KEY: 0.03,
    Kind.EXPIRED_INVITATION: 0.02,
    Kind.REUSED_INVITATION: 0.02,
    Kind.WRONG_CLOCK: 0.02,
    Kind.DENIED: 0.02,
    Kind.FORGED: 0.03,
    Kind.GARBAGE: 0.03,
}
"""Share of each kind of bad request; at least one of each where there are 20 requests. The rest is good."""

POISON = frozenset({Kind.FORGED, Kind.GARBAGE})
"""Nobody can be answered: these must end in the dead-letter queue."""

ALL_KINDS_FROM = 20


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that a requester sends. `at` is in seconds from the start; the number is its identity in this plan."""

    number: int
    at: float
    requester: OrganisationName
    issuer: OrganisationName
    kind: Kind
    repeated: bool
    replayed: bool
    approval_seconds: float
    """How long the person at the issuer takes, where one must approve."""

    @property
    def name(self) -> str:
        """The DNS name that is asked for, which no other request asks for."""
        owner = "elsewhere" if self.kind is Kind.OUT_OF_POLICY else self.requester
        return f"r{self.number}.{owner}.example"


@dataclass(frozen=True, slots=True)
class Agreement:
    """A requester that an issuer has invited, and whether a person must approve its requests."""

    requester: OrganisationName
    issuer: OrganisationName
    manual: bool


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault: it begins `at` seconds from the start, lasts `seconds`, and hits one of several, by number."""

    at: float
    kind: StrikeKind
    seconds: float
    target: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will be tried. Requests and strikes are in the order of time."""

    parameters: Parameters
    issuers: tuple[OrganisationName, ...]
    requesters: tuple[OrganisationName, ...]
    agreements: tuple[Agreement, ...]
    requests: tuple[Request, ...]
    strikes: tuple[Strike, ...]
    skews: tuple[float, ...]
    """By how many seconds the clock of each requester is ahead."""

    def of(self, requester: OrganisationName) -> tuple[Request, ...]:
        """What one requester sends."""
        return tuple(request for request in self.requests if request.requester == requester)

    def line(self, requester: OrganisationName) -> int:
        """Which network link a requester is on."""
        return self.requesters.index(requester) % LINES

    def share(self, worker: int) -> tuple[Request, ...]:
        """What the requesters of one process send, what is due first at the front."""
        mine = set(self.requesters[worker::WORKERS])
        return tuple(request for request in self.requests if request.requester in mine)


def make_plan(parameters: Parameters) -> Plan:
    """The plan for these parameters."""
    random = Random(parameters.seed)  # noqa: S311 - a schedule, not a secret
    issuers = tuple(OrganisationName(f"issuer-{number + 1}") for number in range(parameters.issuers))
    requesters = tuple(OrganisationName(f"requester-{number + 1:04}") for number in range(parameters.requesters))
    requests = _requests(parameters, issuers, requesters, random)
    bound = parameters.trouble.skew_seconds
    return Plan(
        parameters,
        issuers,
        requesters,
        _agreements(requests, random),
        requests,
        _strikes(parameters, random),
        tuple(round(random.uniform(-bound, bound), 3) for _ in requesters),
    )


def _requests(
    parameters: Parameters,
    issuers: Sequence[OrganisationName],
    requesters: Sequence[OrganisationName],
    random: Random,
) -> tuple[Request, ...]:
    senders = _senders(parameters.requests, requesters, random)
    kinds = _kinds(senders, random)
    least, most = APPROVAL_SECONDS
    most = min(most, max(2 * least, parameters.seconds / 4))
    trouble, home = parameters.trouble, {name: random.choice(issuers) for name in requesters}
    first_of: set[OrganisationName] = set()
    made, at = [], 0.0
    for number, (sender, kind) in enumerate(zip(senders, kinds, strict=True), 1):
        elsewhere = sender in first_of and kind is not Kind.REUSED_INVITATION and random.random() < SECOND_ISSUER_SHARE
        first_of.add(sender)
        at += random.expovariate(parameters.rate)
        made.append(
            Request(
                number=number,
                at=round(at, 3),
                requester=sender,
                issuer=random.choice(issuers) if elsewhere else home[sender],
                kind=kind,
                repeated=kind not in POISON and random.random() < trouble.repeated,
                replayed=kind not in POISON and random.random() < trouble.replayed,
                approval_seconds=round(random.uniform(least, most), 1),
            )
        )
    return tuple(made)


def _senders(count: int, requesters: Sequence[OrganisationName], random: Random) -> list[OrganisationName]:
    """Every requester at least once, in any order."""
    senders = [*requesters, *random.choices(requesters, k=count - len(requesters))]
    random.shuffle(senders)
    return senders


def _kinds(senders: Sequence[OrganisationName], random: Random) -> list[Kind]:
    """A kind for each sender, in the shares of `SHARES`. An invitation is used again only by who used it well before:
    the first request of that sender is good, and stays so; where nobody sends twice, nobody uses one again."""
    left = _bad_ones(len(senders))
    kinds: list[Kind | None] = [None] * len(senders)
    firsts: dict[OrganisationName, int] = {}
    again = [index for index, sender in enumerate(senders) if firsts.setdefault(sender, index) != index]
    random.shuffle(again)
    for index in again[: left.pop(Kind.REUSED_INVITATION, 0)]:
        kinds[index], kinds[firsts[senders[index]]] = Kind.REUSED_INVITATION, Kind.GOOD
    free = [index for index, kind in enumerate(kinds) if kind is None]
    random.shuffle(free)
    for index, kind in zip(free, left.elements(), strict=False):
        kinds[index] = kind
    return [kind or Kind.GOOD for kind in kinds]


def _bad_ones(count: int) -> Counter[Kind]:
    least = 1 if count >= ALL_KINDS_FROM else 0
    return Counter({kind: max(least, round(count * share)) for kind, share in SHARES.items()})


def _agreements(requests: Sequence[Request], random: Random) -> tuple[Agreement, ...]:
    pairs = dict.fromkeys((request.requester, request.issuer) for request in requests)
    denied = {(request.requester, request.issuer) for request in requests if request.kind is Kind.DENIED}
    return tuple(Agreement(*pair, manual=random.random() < MANUAL_SHARE or pair in denied) for pair in pairs)


def _strikes(parameters: Parameters, random: Random) -> tuple[Strike, ...]:
    trouble, end = parameters.trouble, parameters.seconds
    made = []
    for kind, per_minute in trouble.strikes.items():
        for _ in range(max(1, round(per_minute * end / 60))):
            at, lasts = random.uniform(0.05, 0.9) * end, random.uniform(*trouble.outage_seconds)
            made.append(Strike(round(at, 2), kind, round(lasts, 2), random.randrange(1_000_000)))
    return tuple(sorted(made, key=lambda strike: strike.at))
