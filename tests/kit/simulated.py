"""A plan, and the facts of a simulation of it in which everything is as it should be."""

from dataclasses import replace
from datetime import UTC, datetime

from agents.simulation.facts import Certificate, Facts, Transaction
from agents.simulation.parameters import Faults, Parameters
from agents.simulation.plan import POISON, Kind, make_plan
from protocol.transaction import Role, State

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PLAN = make_plan(Parameters(8, 2, 2.0, 24, Faults.HARSH, 1))
GOOD = next(request for request in PLAN.requests if request.kind is Kind.GOOD)
BAD = next(request for request in PLAN.requests if request.kind is Kind.WEAK_KEY)
POISONOUS = next(request for request in PLAN.requests if request.kind is Kind.GARBAGE)

UNKNOWN_TO_ISSUER = {Kind.EXPIRED_INVITATION, Kind.REUSED_INVITATION, Kind.WRONG_CLOCK}


def identity(request):
    return f"transaction-{request.number}"


def transaction(request, role, state):
    requester = role is Role.REQUESTER
    refused = state is State.REFUSED
    return Transaction(
        organisation=request.requester if requester else request.issuer,
        role=role,
        partner=request.issuer if requester else request.requester,
        id=identity(request),
        state=state,
        names=(f"dns:{request.name}",),
        created_at=NOW,
        updated_at=NOW,
        serial=None if refused else f"{request.number:x}",
        problems=("badAlg: public key",) if refused else (),
    )


def certificate(request, organisation):
    return Certificate(
        organisation=organisation,
        issuer=request.issuer,
        holder=request.requester,
        serial=f"{request.number:x}",
        transaction=identity(request),
        digest=f"digest-{request.number}",
        public_key=f"key-{request.number}",
        withdrawn=False,
    )


def as_it_should_be():
    transactions, certificates = [], []
    for request in PLAN.requests:
        if request.kind is Kind.GOOD:
            transactions += [
                transaction(request, Role.REQUESTER, State.VERIFIED),
                transaction(request, Role.ISSUER, State.CONFIRMED),
            ]
            certificates += [certificate(request, request.requester), certificate(request, request.issuer)]
        elif request.kind not in POISON:
            transactions.append(transaction(request, Role.REQUESTER, State.REFUSED))
            if request.kind not in UNKNOWN_TO_ISSUER:
                transactions.append(transaction(request, Role.ISSUER, State.REFUSED))
    poison = [request for request in PLAN.requests if request.kind in POISON]
    dead = {}
    for request in poison:
        dead.setdefault(f"requests.{request.issuer}.dead", []).append(f"octets-{request.number}")
    return Facts(
        transactions=tuple(transactions),
        certificates=tuple(certificates),
        sealed={request.number: f"octets-{request.number}" for request in poison},
        dead={queue: tuple(digests) for queue, digests in dead.items()},
        waiting={},
        unsent={},
        installed={(GOOD.requester, GOOD.issuer): f"digest-{GOOD.number}"},
        faults_in_program=(),
    )


def without(ones, **like):
    return tuple(one for one in ones if any(getattr(one, name) != value for name, value in like.items()))


def changed(ones, like, **change):
    matches = lambda one: all(getattr(one, name) == value for name, value in like.items())  # noqa: E731
    assert any(map(matches, ones))
    return tuple(replace(one, **change) if matches(one) else one for one in ones)


def at_issuer(request):
    return {"organisation": request.issuer, "id": identity(request)}


def at_requester(request):
    return {"organisation": request.requester, "id": identity(request)}
