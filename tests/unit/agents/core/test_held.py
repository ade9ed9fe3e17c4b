"""What a person's decision on a request records, and what a requester is told that gets no certificate."""

import pytest
from kit.certificates import NOW
from kit.envelopes import TRANSACTION, B, C, organisation

from agents.core.case import parse
from agents.core.effects import Audit, MoveTransaction, RecordApproval, TransactionKey, Unit
from agents.core.held import denied, distrusted, unit_for_decision, unit_for_expiry
from protocol.errors import ProblemCode, problem
from protocol.messages import EnrollmentRequest, InvitationProof
from protocol.names import InvitationId
from protocol.transaction import Role, State

KEY = TransactionKey(Role.ISSUER, B, TRANSACTION)
CLIENT_B, CLIENT_C = organisation(B), organisation(C)
PROOF = InvitationProof(id=InvitationId("1" * 32), proof=bytes(32))


def case(invitation=None, *known):
    body = EnrollmentRequest(csr=b"request", invitation=invitation)
    opened = CLIENT_C.open(CLIENT_B.seal(C, body=body), *known)
    return parse(opened, b"sealed", State.PENDING)


@pytest.mark.parametrize(("allow", "word"), [(True, "approved"), (False, "denied")])
def test_an_operators_word_is_recorded_with_its_reason(allow, word):
    assert unit_for_decision(KEY, "as agreed", NOW, allow=allow) == Unit(
        (RecordApproval(KEY, allow, "as agreed", NOW), Audit(NOW, word, B, TRANSACTION, "as agreed"))
    )


def test_a_request_that_nobody_decides_in_time_expires():
    move, audit = unit_for_expiry(KEY, NOW).effects
    assert move == MoveTransaction(KEY, State.PENDING, State.EXPIRED, NOW)
    assert (audit.event, audit.transaction) == ("expired", TRANSACTION)


def test_a_denial_carries_the_operators_words_whole_and_what_to_do():
    said = denied(case(), "not this quarter, " * 20)
    assert said.got == "denied by the issuer: " + ("not this quarter, " * 20)
    assert said.fix.startswith("Ask the issuer's operator what would be approved, then enroll again")


AGAIN = [
    (case(PROOF), "a new invitation"),
    (case(None, CLIENT_B), "without an invitation"),
    (case(PROOF, CLIENT_B), "without an invitation"),
]


@pytest.mark.parametrize(("of", "again"), AGAIN)
def test_who_was_known_by_an_invitation_alone_needs_a_new_one(of, again):
    why = problem(ProblemCode.BAD_TIME, "certificate", "expired", "valid", "Renew it.")
    said = distrusted(of, why)
    assert again in said.fix
    assert again in denied(of, "no").fix
    assert said.fix.startswith("Renew it. Then enroll again")
    assert (said.code, said.field) == (ProblemCode.BAD_TIME, "certificate of the requester's agent identity")
