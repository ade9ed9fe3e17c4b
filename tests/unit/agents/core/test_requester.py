"""The requester's decisions: what is asked and said, and what each step records."""

from dataclasses import replace
from datetime import timedelta

import pytest
from kit.certificates import NOW, new_key
from kit.envelopes import TRANSACTION, B, C, organisation

from agents.core.effects import (
    Audit,
    MarkPublished,
    MoveTransaction,
    OpenTransaction,
    RecordSession,
    StoreMessage,
    TransactionKey,
    Unit,
)
from agents.core.requester import (
    CONFIRMATION_LIFETIME,
    Enrollment,
    confirmation_message,
    request_message,
    unit_for_created,
    unit_for_move,
    unit_for_verified,
    units_for_confirmed,
    why_abandoned,
    why_given_up,
)
from agents.errors import NotVerifiedError, StateError, UnreachableError
from protocol.csr import NameKind, SubjectName, build_csr
from protocol.envelope import digest
from protocol.errors import ProblemCode, problem
from protocol.messages import Delivered, InvitationProof, PeerView, Rejected, Verified
from protocol.names import Fingerprint, InvitationId, SerialNumber
from protocol.transaction import TABLE, Event, Role, State, TransitionError

LATER = NOW + timedelta(hours=1)
KEY = TransactionKey(Role.REQUESTER, C, TRANSACTION)
CSR = build_csr(
    new_key(), (SubjectName(NameKind.DNS, "api.b.example"), SubjectName(NameKind.DNS, "www.b.example")), None
)
PROOF = InvitationProof(id=InvitationId("1" * 32), proof=bytes(32))
ENROLLMENT = Enrollment(TRANSACTION, B, C, CSR, timedelta(days=30), NOW, LATER, "credentials/key.pem")
REPLY = StoreMessage(KEY, "enrollment.reply", b"sealed reply", LATER, outgoing=False, issuer=C)
FAULT = problem(ProblemCode.BAD_CERT_ID, "channel", "nobody", "client-c", "Look.")


def view(subject):
    return PeerView(
        certificate=Fingerprint.of(b"c"),
        serial=SerialNumber("abc"),
        subject=subject,
        names=(),
        tls_version="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
    )


# --- what is asked


def test_a_request_asks_for_what_the_enrollment_says():
    message = request_message(ENROLLMENT, PROOF)
    assert (message.sender, message.recipient, message.transaction) == (B, C, TRANSACTION)
    assert (message.issued_at, message.expires_at) == (NOW, LATER)
    body = message.body
    assert (body.csr, body.invitation, body.lifetime_seconds, body.predecessor) == (CSR.der, PROOF, 30 * 86_400, None)


def test_what_is_not_wanted_is_not_asked_for():
    body = request_message(replace(ENROLLMENT, lifetime=None), None).body
    assert (body.invitation, body.lifetime_seconds) == (None, None)


def test_a_request_is_recorded_with_its_exact_bytes_before_it_is_sent():
    names = ("dns:api.b.example", "dns:www.b.example")
    sealed = organisation(B).seal(C)
    opening = OpenTransaction(
        KEY, State.CREATED, digest(sealed), NOW, LATER, names, key_path="credentials/key.pem", invitation=PROOF.id
    )
    stored = StoreMessage(KEY, "enrollment.request", sealed, NOW, outgoing=True, issuer=C)
    audit = Audit(NOW, "created", C, TRANSACTION, "asking client-c")
    assert unit_for_created(ENROLLMENT, PROOF, sealed) == Unit((opening, stored, audit))
    assert unit_for_created(ENROLLMENT, None, sealed) == Unit((replace(opening, invitation=None), stored, audit))


# --- what is recorded


@pytest.mark.parametrize(
    ("before", "event", "after"), [(*pair, after) for pair, after in TABLE[Role.REQUESTER].items()]
)
def test_every_step_of_the_table_is_recorded_with_what_belongs_to_it(before, event, after):
    assert unit_for_move(KEY, before, event, LATER, (FAULT,), REPLY) == Unit(
        (
            MoveTransaction(KEY, before, after, LATER, problems=(FAULT,)),
            REPLY,
            Audit(LATER, after.value, C, TRANSACTION, event.value),
        )
    )


@pytest.mark.parametrize("state", [State.VERIFIED, State.FAILED, State.EXPIRED, State.REFUSED])
@pytest.mark.parametrize("event", Event)
def test_nothing_leads_out_of_an_end(state, event):
    with pytest.raises(TransitionError):
        unit_for_move(KEY, state, event, LATER)


def test_a_confirmed_request_is_sent_in_a_unit_of_its_own_because_its_answer_may_have_been_quicker():
    assert units_for_confirmed([7, 9], [KEY], NOW) == [
        Unit((MarkPublished((7, 9), NOW),)),
        Unit(
            (
                MoveTransaction(KEY, State.CREATED, State.SENT, NOW),
                Audit(NOW, "sent", C, TRANSACTION, "request published"),
            )
        ),
    ]


def test_a_verified_channel_is_recorded_with_what_both_ends_saw_and_the_confirmation():
    ours, theirs = view("CN=c"), view("CN=b")
    confirmation = StoreMessage(KEY, "enrollment.confirmation", b"sealed", NOW, outgoing=True, issuer=C)
    assert unit_for_verified(KEY, ours, theirs, confirmation, NOW) == Unit(
        (
            MoveTransaction(KEY, State.INSTALLED, State.VERIFIED, NOW),
            confirmation,
            RecordSession(C, NOW, ours.model_dump_json(), theirs.model_dump_json()),
            Audit(NOW, "verified", C, TRANSACTION, "channel verified"),
        )
    )


@pytest.mark.parametrize("error", [NotVerifiedError("another name"), UnreachableError("nobody listens")])
def test_what_was_seen_on_the_channel_is_told_to_the_issuer_as_it_is(error):
    ours, told = why_given_up(error)
    assert ours == told
    assert (ours.field, ours.got) == ("channel", str(error))


def test_a_fault_of_our_own_is_told_to_the_issuer_without_our_paths():
    ours, told = why_given_up(StateError("our/own/key.pem is missing"))
    assert "our/own/key.pem" in ours.got
    assert "our/own/key.pem" not in str(told)
    assert (ours.field, told.field) == ("credential", "credential")


def test_a_transaction_on_which_the_program_fails_says_so_to_our_operator():
    assert (why_abandoned("a fault").got, why_abandoned("a fault").field) == ("a fault", "credential")


# --- what is said of it


@pytest.mark.parametrize(
    "result", [Verified(seen=view("")), Delivered(), Rejected(problem=FAULT)], ids=lambda one: one.outcome
)
def test_a_confirmation_says_what_became_of_which_certificate(result):
    message = confirmation_message(KEY, B, b"certificate", result, LATER)
    assert (message.sender, message.recipient, message.transaction) == (B, C, TRANSACTION)
    assert (message.issued_at, message.expires_at) == (LATER, LATER + CONFIRMATION_LIFETIME)
    assert (message.body.certificate_digest, message.body.result) == (Fingerprint.of(b"certificate"), result)
