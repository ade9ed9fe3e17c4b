"""The verdict: whether what must hold after any simulation holds. A pure function of the plan and the facts.

Each invariant is one function that yields its violations, each as a sentence that names the request or transaction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agents.simulation.facts import Certificate, Facts, Transaction
from agents.simulation.plan import POISON, Kind, Plan, Request
from protocol.names import OrganisationName
from protocol.topology import dead_letter_queue, request_queue
from protocol.transaction import Role, State, is_final


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that must hold, and every case in which it does not."""

    title: str
    checked: int
    """How many cases were looked at."""
    violations: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether there is no violation."""
        return not self.violations


@dataclass(frozen=True, slots=True)
class Verdict:
    """All invariants."""

    invariants: tuple[Invariant, ...]

    @property
    def holds(self) -> bool:
        """Whether every one holds."""
        return all(invariant.holds for invariant in self.invariants)


class Evidence:
    """Plan and facts, arranged for looking things up."""

    def __init__(self, plan: Plan, facts: Facts) -> None:
        self.plan, self.facts = plan, facts
        self.asked: dict[str, list[Transaction]] = defaultdict(list)
        """By the name asked for: the requester's transactions."""
        self.answered: dict[str, list[Transaction]] = defaultdict(list)
        """By transaction id: the issuer's."""
        self.issued: dict[str, list[Certificate]] = defaultdict(list)
        self.held: dict[str, list[Certificate]] = defaultdict(list)
        """By transaction id: in the issuer's ledger, in the holder's."""
        for transaction in facts.transactions:
            if transaction.role is Role.ISSUER:
                self.answered[transaction.id].append(transaction)
            else:
                for name in transaction.names:
                    self.asked[name.removeprefix("dns:")].append(transaction)
        for certificate in facts.certificates:
            (self.issued if certificate.organisation == certificate.issuer else self.held)[
                certificate.transaction
            ].append(certificate)

    def good(self) -> list[Request]:
        """Requests that must end in a certificate."""
        return [request for request in self.plan.requests if request.kind is Kind.GOOD]

    def bad(self) -> list[Request]:
        """Requests that must be refused to their sender."""
        return [request for request in self.plan.requests if request.kind not in POISON | {Kind.GOOD}]

    def poison(self) -> list[Request]:
        """Messages that nobody can be told about."""
        return [request for request in self.plan.requests if request.kind in POISON]

    def transaction(self, request: Request) -> Transaction | None:
        """The one transaction of a request at its sender."""
        found = self.asked[request.name]
        return found[0] if len(found) == 1 else None


def judge(plan: Plan, facts: Facts) -> Verdict:
    """Check every invariant."""
    evidence = Evidence(plan, facts)
    return Verdict(tuple(_check(evidence, *each) for each in INVARIANTS))


Check = Callable[[Evidence], Iterator[str]]


def _check(evidence: Evidence, title: str, check: Check, count: Callable[[Evidence], int]) -> Invariant:
    return Invariant(title, count(evidence), tuple(check(evidence)))


def _called(request: Request) -> str:
    return f"request {request.number} ({request.kind}, {request.requester} to {request.issuer})"


def _none_lost(evidence: Evidence) -> Iterator[str]:
    for request in evidence.plan.requests:
        if request.kind in POISON:
            if request.number not in evidence.facts.sealed:
                yield f"{_called(request)} was never sent"
        elif (count := len(evidence.asked[request.name])) != 1:
            yield f"{_called(request)} has {count} transactions at its sender instead of one"


def _one_certificate_each(evidence: Evidence) -> Iterator[str]:
    for request in evidence.good():
        transaction = evidence.transaction(request)
        if transaction is None:
            yield f"{_called(request)} has no certificate: no single transaction is on record"
            continue
        issued, held = evidence.issued[transaction.id], evidence.held[transaction.id]
        if (len(issued), len(held)) != (1, 1):
            counts = f"{len(issued)} at {request.issuer} and {len(held)} at {request.requester}"
            yield f"{_called(request)}, transaction {transaction.id}: certificates are {counts} instead of one"


def _equal_in_both_ledgers(evidence: Evidence) -> Iterator[str]:
    for id in evidence.issued.keys() | evidence.held.keys():
        issued, held = evidence.issued[id], evidence.held[id]
        if {_identity(one) for one in issued} != {_identity(one) for one in held}:
            yield f"transaction {id}: the certificates in the two ledgers differ"


def _identity(certificate: Certificate) -> tuple[str, ...]:
    return (certificate.issuer, certificate.holder, certificate.serial, certificate.digest, certificate.public_key)


def _verified_on_the_channel(evidence: Evidence) -> Iterator[str]:
    for request in evidence.good():
        transaction = evidence.transaction(request)
        here = transaction.state if transaction else None
        there = [one.state for one in evidence.answered[transaction.id]] if transaction else []
        if here is not State.VERIFIED or there != [State.CONFIRMED]:
            seen = f"{here or 'nothing'} at {request.requester}, {', '.join(there) or 'nothing'} at {request.issuer}"
            yield f"{_called(request)}: {seen}; wanted verified and confirmed"
    for (requester, issuer), digest in evidence.facts.installed.items():
        known = {one.digest for one in evidence.facts.certificates if one.holder == requester and not one.withdrawn}
        if digest not in known:
            yield f"the credential of {requester} from {issuer} in use is no certificate on record"


def _refused_with_a_reason(evidence: Evidence) -> Iterator[str]:
    for request in evidence.bad():
        transaction = evidence.transaction(request)
        if transaction is None or transaction.state is not State.REFUSED:
            state = transaction.state if transaction else "not on record"
            yield f"{_called(request)} is {state} instead of refused"
        elif not transaction.problems:
            yield f"{_called(request)}, transaction {transaction.id}, was refused without a reason"
        elif evidence.issued[transaction.id]:
            yield f"{_called(request)}, transaction {transaction.id}, was refused and has a certificate"
        else:
            yield from _equally_refused(request, transaction, evidence.answered[transaction.id])


def _equally_refused(request: Request, asked: Transaction, answered: list[Transaction]) -> Iterator[str]:
    """Who could not prove who it is has no transaction at the issuer; otherwise both have the same reasons."""
    for one in answered:
        if one.state is not State.REFUSED or one.problems != asked.problems:
            yield f"{_called(request)}, transaction {asked.id}: {one.state} at {request.issuer}, or other reasons there"


def _nothing_doubled(evidence: Evidence) -> Iterator[str]:
    issued = [one for ones in evidence.issued.values() for one in ones]
    for what, values in (
        ("serial number", [(one.issuer, one.serial) for one in issued]),
        ("public key", [(one.issuer, one.public_key) for one in issued]),
    ):
        for value, count in Counter(values).items():
            if count > 1:
                yield f"{what} {value[1]} of {value[0]} is in {count} certificates"
    for id, answered in evidence.answered.items():
        if len(answered) > 1:
            yield f"transaction {id} is on record {len(answered)} times at issuers"


def _nothing_forged(evidence: Evidence) -> Iterator[str]:
    good = {evidence.transaction(request) for request in evidence.good()}
    rightful = {one.id: one for one in good if one}
    for id, certificates in evidence.issued.items():
        for one in certificates:
            asked = rightful.get(id)
            if asked is None or (asked.organisation, asked.partner) != (one.holder, one.issuer):
                yield f"{one.issuer} issued serial {one.serial} to {one.holder} in {id}: nobody rightly asked"
    known = {one.id for ones in evidence.asked.values() for one in ones}
    for id in evidence.answered.keys() - known:
        yield f"an issuer has transaction {id}, which no requester has"


def _nothing_stuck(evidence: Evidence) -> Iterator[str]:
    for one in evidence.facts.transactions:
        if not is_final(one.role, one.state):
            yield f"transaction {one.id} is still {one.state} at {one.organisation}"
    for queue, count in evidence.facts.waiting.items():
        yield f"{count} messages are left in queue {queue}"
    for organisation, count in evidence.facts.unsent.items():
        yield f"{count} messages never left {organisation}"


def _dead_letters_are_the_poison(evidence: Evidence) -> Iterator[str]:
    """As sets: what is published at least once may be dead-lettered more than once."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for request in evidence.poison():
        queue = dead_letter_queue(request_queue(OrganisationName(request.issuer)))
        digest = evidence.facts.sealed.get(request.number, "")
        wanted[queue].add(digest)
        if digest not in evidence.facts.dead.get(queue, ()):
            yield f"{_called(request)} is not in {queue}"
    for queue, digests in evidence.facts.dead.items():
        for digest in set(digests) - wanted[queue]:
            yield f"{queue} holds a message that is no poison: SHA-256 {digest}"


def _no_fault_in_the_program(evidence: Evidence) -> Iterator[str]:
    yield from evidence.facts.faults_in_program


INVARIANTS: tuple[tuple[str, Check, Callable[[Evidence], int]], ...] = (
    ("Every valid request ended in exactly one certificate", _one_certificate_each, lambda e: len(e.good())),
    ("Every certificate is equal in both ledgers", _equal_in_both_ledgers, lambda e: len(e.issued)),
    ("Every certificate was verified on the channel, by both ends", _verified_on_the_channel, lambda e: len(e.good())),
    ("Every bad request was refused with a reason", _refused_with_a_reason, lambda e: len(e.bad())),
    ("Nothing was lost", _none_lost, lambda e: len(e.plan.requests)),
    ("Nothing was doubled", _nothing_doubled, lambda e: len(e.facts.certificates)),
    ("Nothing was forged", _nothing_forged, lambda e: len(e.answered)),
    ("Nothing is stuck", _nothing_stuck, lambda e: len(e.facts.transactions)),
    ("Dead-letter queues hold exactly the poison", _dead_letters_are_the_poison, lambda e: len(e.poison())),
    ("No agent met a fault in the program", _no_fault_in_the_program, lambda e: len(e.plan.issuers) + 2),
)
