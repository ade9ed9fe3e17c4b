"""The verdict: it holds for what should be, and each kind of broken fact violates the invariant that names it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agents.simulation.facts import Certificate, Facts, Transaction
from agents.simulation.parameters import Faults, Parameters
from agents.simulation.plan import POISON, Kind, make_plan
from agents.simulation.verdict import judge
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


FACTS = as_it_should_be()


def violated(facts):
    """Title of each violated invariant -> its violations."""
    verdict = judge(PLAN, facts)
    found = {invariant.title: invariant.violations for invariant in verdict.invariants if not invariant.holds}
    assert verdict.holds == (not found)
    return found


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


def test_everything_as_it_should_be_holds():
    assert violated(FACTS) == {}


def test_every_invariant_looks_at_something():
    assert all(invariant.checked > 0 for invariant in judge(PLAN, FACTS).invariants)


def test_a_request_that_nobody_recorded_is_lost():
    facts = replace(FACTS, transactions=without(FACTS.transactions, **at_requester(GOOD)))
    assert "has 0 transactions" in violated(facts)["Nothing was lost"][0]


def test_poison_that_was_never_sent_is_lost():
    sealed = {number: digest for number, digest in FACTS.sealed.items() if number != POISONOUS.number}
    found = violated(replace(FACTS, sealed=sealed))
    assert f"request {POISONOUS.number} " in found["Nothing was lost"][0]


@pytest.mark.parametrize("organisation", [GOOD.requester, GOOD.issuer])
def test_a_certificate_that_one_ledger_lacks_is_no_certificate(organisation):
    certificates = without(FACTS.certificates, organisation=organisation, transaction=identity(GOOD))
    found = violated(replace(FACTS, certificates=certificates))
    assert identity(GOOD) in found["Every valid request ended in exactly one certificate"][0]
    assert identity(GOOD) in found["Every certificate is equal in both ledgers"][0]


def test_a_second_certificate_for_a_request_is_one_too_many():
    second = replace(certificate(GOOD, GOOD.issuer), serial="ff", digest="other")
    found = violated(replace(FACTS, certificates=(*FACTS.certificates, second)))
    assert "2 at" in found["Every valid request ended in exactly one certificate"][0]
    assert "Every certificate is equal in both ledgers" in found
    assert "public key" in found["Nothing was doubled"][0]


@pytest.mark.parametrize("field", ["serial", "digest", "public_key", "holder"])
def test_ledgers_that_differ_in_a_certificate_are_noticed(field):
    like = {"organisation": GOOD.requester, "transaction": identity(GOOD)}
    certificates = changed(FACTS.certificates, like, **{field: "another"})
    found = violated(replace(FACTS, certificates=certificates))
    assert identity(GOOD) in found["Every certificate is equal in both ledgers"][0]


@pytest.mark.parametrize("state", [State.INSTALLED, State.FAILED, State.DELIVERED])
def test_a_certificate_that_its_holder_did_not_verify_is_noticed(state):
    found = violated(replace(FACTS, transactions=changed(FACTS.transactions, at_requester(GOOD), state=state)))
    assert f"{state} at" in found["Every certificate was verified on the channel, by both ends"][0]


@pytest.mark.parametrize("state", [State.ISSUED, State.LAPSED])
def test_a_certificate_that_its_issuer_never_saw_confirmed_is_noticed(state):
    found = violated(replace(FACTS, transactions=changed(FACTS.transactions, at_issuer(GOOD), state=state)))
    assert f"{state} at {GOOD.issuer}" in found["Every certificate was verified on the channel, by both ends"][0]


def test_a_credential_in_use_that_nobody_issued_is_noticed():
    found = violated(replace(FACTS, installed={(GOOD.requester, GOOD.issuer): "digest-unknown"}))
    assert GOOD.requester in found["Every certificate was verified on the channel, by both ends"][0]


def test_a_credential_in_use_that_was_withdrawn_is_noticed():
    withdrawn = changed(FACTS.certificates, {"transaction": identity(GOOD)}, withdrawn=True)
    assert violated(replace(FACTS, certificates=withdrawn))


def test_a_bad_request_that_was_granted_is_noticed():
    transactions = changed(FACTS.transactions, at_requester(BAD), state=State.VERIFIED)
    transactions = changed(transactions, at_issuer(BAD), state=State.CONFIRMED)
    certificates = (*FACTS.certificates, certificate(BAD, BAD.issuer), certificate(BAD, BAD.requester))
    found = violated(replace(FACTS, transactions=transactions, certificates=certificates))
    assert "is verified instead of refused" in found["Every bad request was refused with a reason"][0]
    assert "nobody rightly asked" in found["Nothing was forged"][0]


def test_a_refused_request_with_a_certificate_is_noticed():
    found = violated(replace(FACTS, certificates=(*FACTS.certificates, certificate(BAD, BAD.issuer))))
    assert "was refused and has a certificate" in found["Every bad request was refused with a reason"][0]


def test_a_refusal_without_a_reason_is_noticed():
    found = violated(replace(FACTS, transactions=changed(FACTS.transactions, at_requester(BAD), problems=())))
    assert "without a reason" in found["Every bad request was refused with a reason"][0]


def test_a_refusal_with_other_reasons_at_the_issuer_is_noticed():
    other = changed(FACTS.transactions, at_issuer(BAD), problems=("badTime: issued_at",))
    assert (
        "other reasons"
        in violated(replace(FACTS, transactions=other))["Every bad request was refused with a reason"][0]
    )


def test_a_serial_number_used_twice_is_noticed():
    others = [one for one in FACTS.certificates if one.organisation == GOOD.issuer and one.serial != f"{GOOD.number:x}"]
    like = {"organisation": GOOD.issuer, "transaction": others[0].transaction}
    found = violated(replace(FACTS, certificates=changed(FACTS.certificates, like, serial=f"{GOOD.number:x}")))
    assert "serial number" in found["Nothing was doubled"][0]


def test_a_transaction_that_two_issuers_answered_is_noticed():
    other = next(issuer for issuer in PLAN.issuers if issuer != GOOD.issuer)
    twice = replace(transaction(GOOD, Role.ISSUER, State.CONFIRMED), organisation=other)
    found = violated(replace(FACTS, transactions=(*FACTS.transactions, twice)))
    assert "on record 2 times" in found["Nothing was doubled"][0]


def test_a_certificate_for_which_nobody_asked_is_forged():
    forged = replace(certificate(GOOD, GOOD.issuer), transaction="made up", serial="fe", public_key="k", digest="d")
    found = violated(replace(FACTS, certificates=(*FACTS.certificates, forged)))
    assert "made up" in found["Nothing was forged"][0]


def test_a_certificate_for_another_holder_is_forged():
    like = {"organisation": GOOD.issuer, "transaction": identity(GOOD)}
    found = violated(replace(FACTS, certificates=changed(FACTS.certificates, like, holder="requester-9999")))
    assert "to requester-9999" in found["Nothing was forged"][0]


def test_a_transaction_that_no_requester_knows_is_forged():
    made_up = replace(transaction(GOOD, Role.ISSUER, State.REFUSED), id="made up")
    found = violated(replace(FACTS, transactions=(*FACTS.transactions, made_up)))
    assert "made up" in found["Nothing was forged"][0]


@pytest.mark.parametrize("state", [State.CREATED, State.SENT, State.PENDING, State.ISSUED, State.INSTALLED])
def test_a_transaction_that_is_not_final_is_stuck(state):
    found = violated(replace(FACTS, transactions=changed(FACTS.transactions, at_requester(GOOD), state=state)))
    assert f"is still {state}" in found["Nothing is stuck"][0]


def test_messages_left_in_a_queue_are_stuck():
    assert "2 messages" in violated(replace(FACTS, waiting={"requests.issuer-1": 2}))["Nothing is stuck"][0]


def test_messages_left_in_an_outbox_are_stuck():
    assert GOOD.requester in violated(replace(FACTS, unsent={GOOD.requester: 1}))["Nothing is stuck"][0]


def test_poison_that_is_not_dead_lettered_is_noticed():
    found = violated(replace(FACTS, dead={}))
    assert len(found["Dead-letter queues hold exactly the poison"]) == len(FACTS.sealed)


def test_a_dead_letter_that_is_no_poison_is_noticed():
    (queue, digests), *others = FACTS.dead.items()
    found = violated(replace(FACTS, dead={queue: (*digests, "innocent"), **dict(others)}))
    assert "innocent" in found["Dead-letter queues hold exactly the poison"][0]


def test_poison_in_the_wrong_queue_is_noticed():
    found = violated(replace(FACTS, dead={**FACTS.dead, "replies.requester-0001.dead": ("octets-1",)}))
    assert "replies.requester-0001.dead" in found["Dead-letter queues hold exactly the poison"][0]


def test_poison_that_is_dead_lettered_twice_is_still_exactly_the_poison():
    assert violated(replace(FACTS, dead={queue: digests * 2 for queue, digests in FACTS.dead.items()})) == {}


def test_a_fault_in_the_program_is_noticed():
    found = violated(replace(FACTS, faults_in_program=("issuer-1.log: a round failed",)))
    assert found == {"No agent met a fault in the program": ("issuer-1.log: a round failed",)}
