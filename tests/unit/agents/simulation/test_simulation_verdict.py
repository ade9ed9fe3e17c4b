"""The verdict: it holds for what should be, and each kind of broken fact violates the invariant that names it."""

from dataclasses import replace

import pytest
from kit.simulated import (
    BAD,
    GOOD,
    PLAN,
    POISONOUS,
    as_it_should_be,
    at_issuer,
    at_requester,
    certificate,
    changed,
    identity,
    transaction,
    without,
)

from agents.simulation.verdict import judge
from protocol.transaction import Role, State

FACTS = as_it_should_be()


def violated(facts):
    """Title of each violated invariant -> its violations."""
    verdict = judge(PLAN, facts)
    found = {invariant.title: invariant.violations for invariant in verdict.invariants if not invariant.holds}
    assert verdict.holds == (not found)
    return found


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
