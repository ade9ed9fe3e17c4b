"""The issuer's decisions: who asks, what is recorded, what is answered."""

from dataclasses import replace
from datetime import timedelta

import pytest
from kit.certificates import NOW, new_key
from kit.envelopes import TRANSACTION, B, C, D, message
from kit.policies import approve, dns, make_context, make_policy, make_request

from agents.core.agreement import Approval
from agents.core.case import Case, Requester, authenticate, judge, key_of, parse
from agents.core.effects import (
    Audit,
    ConsumeInvitation,
    MarkShown,
    MoveTransaction,
    OpenTransaction,
    PinAnchor,
    RecordCertificate,
    RecordSession,
    RevokeCertificate,
    StoreMessage,
    TransactionKey,
    Unit,
)
from agents.core.issuer import (
    REPLY_LIFETIME,
    Issuance,
    Unconfirmed,
    acknowledgement,
    refused,
    renew_after,
    reply_to,
    unit_for_confirmation,
    unit_for_issued,
    unit_for_lapse,
    unit_for_pending,
    unit_for_refused,
    unit_for_session,
)
from agents.core.policy import Approved, Held, Refused
from protocol.csr import build_csr, parse_csr
from protocol.envelope import Opened
from protocol.errors import InvitationError, ProblemCode, ProtocolError, RequestError, problem
from protocol.invitation import Invitation, IssuedInvitation, Secret, prove
from protocol.messages import (
    NOTE_MAX,
    NOTES_MAX,
    PROBLEMS_MAX,
    ChannelStatement,
    Delivered,
    EnrollmentConfirmation,
    EnrollmentRequest,
    PeerView,
    Pending,
    Rejected,
    Verified,
)
from protocol.names import Fingerprint, InvitationId, SerialNumber
from protocol.transaction import TABLE, Event, Role, State, TransitionError

LATER = NOW + timedelta(minutes=20)
EXPIRY = message().expires_at
ROOT, OTHER_ROOT = b"root of client-b", b"another root"
SECRET, ID = Secret(bytes(range(32))), InvitationId("1" * 32)
INVITATION = Invitation(C, B, Fingerprint.of(b"root of client-c"), ID, SECRET, LATER, "amqp://broker.example")
RECORD = IssuedInvitation(ID, B, SECRET, LATER, None, None)
PROOF = prove(INVITATION, Fingerprint.of(ROOT), TRANSACTION)
KEY = TransactionKey(Role.ISSUER, B, TRANSACTION)
SERIAL = SerialNumber("abc")
FAULT = problem(ProblemCode.BAD_ALG, "key", "RSA", "P-256", "Make another.")
STRANGER = Requester(B, frozenset(), make_policy())
PARTNER = replace(STRANGER, anchors=frozenset({Fingerprint.of(ROOT)}))
CONSUMED = ConsumeInvitation(ID, B, TRANSACTION, NOW)
PINNED = PinAnchor(B, Role.REQUESTER, Fingerprint.of(ROOT), ROOT, NOW)
ISSUANCE = Issuance(approve(make_request()), SERIAL, b"certificate")
SEEN = PeerView(
    certificate=Fingerprint.of(b"server"),
    serial=SERIAL,
    subject="CN=c",
    names=("c",),
    tls_version="TLSv1.3",
    cipher="x",
)


def opened(proof=None, root=ROOT, *, introduced=True, body=None):
    request = message(body=body or EnrollmentRequest(csr=b"csr", invitation=proof))
    return Opened(request, Fingerprint.of(b"sealed request"), root, frozenset(), introduced)


def case_of(proof=None, **changes):
    request = opened(proof, **changes)
    return Case(request, request.message.body, b"sealed request", make_request())


def refusal(*arguments, kind=ProtocolError):
    with pytest.raises(kind) as caught:
        authenticate(*arguments, NOW)
    (found,) = caught.value.problems
    return found


# --- who asks


def test_a_transaction_belongs_to_whoever_signed_the_request():
    assert key_of(opened()) == KEY


def admission(case):
    """What makes its sender known, recorded with the issuance."""
    unit = unit_for_issued(case, ISSUANCE, b"reply", NOW)
    return tuple(one for one in unit.effects if isinstance(one, ConsumeInvitation | PinAnchor))


def test_the_holder_of_an_invitation_is_let_in_and_what_that_means_is_recorded():
    authenticate(case_of(PROOF), STRANGER, RECORD, NOW)
    assert admission(case_of(PROOF)) == (CONSUMED, PINNED)


def test_a_partner_under_its_pinned_root_needs_no_invitation():
    case = case_of(introduced=False)
    authenticate(case, PARTNER, None, NOW)
    assert admission(case) == ()


def test_a_partner_that_shows_a_new_invitation_uses_it_up():
    case = case_of(PROOF, introduced=False)
    authenticate(case, PARTNER, RECORD, NOW)
    assert admission(case) == (CONSUMED,)


def test_a_stranger_without_an_invitation_is_told_to_get_one():
    found = refusal(case_of(), STRANGER, None)
    assert (found.code, found.got) == (ProblemCode.NOT_AUTHORIZED, "client-b, for which no root is pinned here")
    assert "agent invite" in found.fix


@pytest.mark.parametrize("proof", [None, prove(INVITATION, Fingerprint.of(OTHER_ROOT), TRANSACTION)])
def test_another_root_than_the_pinned_one_is_refused_also_with_a_good_invitation(proof):
    found = refusal(case_of(proof, root=OTHER_ROOT), PARTNER, RECORD)
    assert (found.code, found.got) == (
        ProblemCode.SIGNER_NOT_TRUSTED,
        f"an agent identity under the root {Fingerprint.of(OTHER_ROOT)}",
    )
    assert Fingerprint.of(ROOT) in found.allowed
    assert "`agent unpin client-b --as requester`" in found.fix
    assert "then enroll with a new invitation" in found.fix
    assert "somebody else has, in your name: tell the issuer's operator at once" in found.fix


def test_a_proof_for_another_root_is_refused():
    refusal(case_of(PROOF, root=OTHER_ROOT), STRANGER, RECORD, kind=InvitationError)


@pytest.mark.parametrize("record", [None, replace(RECORD, consumed_by=D), replace(RECORD, expires_at=NOW)], ids=str)
def test_an_invitation_that_is_unknown_used_or_expired_lets_nobody_in(record):
    refusal(case_of(PROOF), STRANGER, record, kind=InvitationError)


# --- reading a request


def test_a_request_is_read_with_what_it_asks_for():
    csr = build_csr(new_key(), dns("api.client-b.example"), None).der
    request = opened(body=EnrollmentRequest(csr=csr))
    case = parse(request, b"sealed", State.PENDING)
    assert case == Case(request, request.message.body, b"sealed", parse_csr(csr), State.PENDING)
    assert (case.key, case.held) == (KEY, True)


def test_of_a_request_that_cannot_be_read_the_reason_is_kept():
    case = parse(opened(), b"sealed")
    assert isinstance(case.csr, RequestError)
    assert (case.before, case.held) == (State.RECEIVED, False)


def test_only_an_enrollment_request_is_read_as_one():
    confirmation = EnrollmentConfirmation(certificate_digest=Fingerprint.of(b"c"), result=Delivered())
    with pytest.raises(TypeError, match="enrollment.confirmation is not an enrollment request"):
        parse(opened(body=confirmation), b"sealed")


@pytest.mark.parametrize(
    ("proof", "introduced", "first"),
    [(PROOF, True, True), (PROOF, False, False), (None, True, False), (None, False, False)],
)
def test_a_first_request_is_one_whose_sender_is_known_by_an_invitation_alone(proof, introduced, first):
    assert case_of(proof, introduced=introduced).first is first


# --- the verdict


def test_the_policy_judges():
    assert isinstance(judge(make_request(), PARTNER, make_context()), Approved)
    assert isinstance(judge(make_request("other.example"), PARTNER, make_context()), Refused)


def test_without_an_agreement_the_verdict_is_a_refusal():
    verdict = judge(make_request(), replace(PARTNER, policy=None), make_context())
    assert isinstance(verdict, Refused)
    assert (verdict.problems[0].code, verdict.problems[0].got) == (
        ProblemCode.NOT_AUTHORIZED,
        "a request from client-b",
    )


def test_a_refusal_names_every_problem():
    assert refused((FAULT,) * PROBLEMS_MAX).problems == (FAULT,) * PROBLEMS_MAX


@pytest.mark.parametrize("excess", [1, 2, 500])
def test_more_problems_than_a_message_holds_are_counted_in_the_last_one(excess):
    *listed, last = refused((FAULT,) * (PROBLEMS_MAX + excess)).problems
    assert listed == [FAULT] * (PROBLEMS_MAX - 1)
    assert (last.code, last.got) == (ProblemCode.BAD_REQUEST, f"{excess + 1} more problems")


def issuance_with(*notes):
    return Issuance(approve(make_request(left_out=notes)), SERIAL, b"certificate")


def test_notes_are_sent_as_they_are_while_a_message_holds_them():
    notes = tuple(str(number) * NOTE_MAX for number in range(10))
    assert issuance_with(*notes).notes == notes
    assert len(issuance_with(*["x"] * NOTES_MAX).notes) == NOTES_MAX


@pytest.mark.parametrize("excess", [1, 500])
def test_more_notes_than_a_message_holds_are_counted_in_the_last_one(excess):
    *listed, last = issuance_with(*["x"] * (NOTES_MAX + excess)).notes
    assert listed == ["x"] * (NOTES_MAX - 1)
    assert last == f"{excess + 1} more that the certificate does not have"


def test_a_note_is_cut_and_escaped():
    (note,) = issuance_with("\x1b[2J" + "x" * 1000).notes
    assert note.startswith("\\x1b[2J")
    assert len(note) == NOTE_MAX


def test_a_certificate_is_renewed_after_two_thirds_of_its_life():
    spec = approve(make_request()).spec
    moment = renew_after(approve(make_request()))
    assert moment - spec.not_before == 2 * (spec.not_after - moment)


# --- what is answered


def test_a_reply_answers_exactly_the_request():
    reply = reply_to(opened(), Pending(reason="later"), LATER)
    assert (reply.sender, reply.recipient, reply.transaction) == (C, B, TRANSACTION)
    assert (reply.issued_at, reply.expires_at) == (LATER, LATER + REPLY_LIFETIME)
    assert (reply.body.request_digest, reply.body.result) == (
        Fingerprint.of(b"sealed request"),
        Pending(reason="later"),
    )


@pytest.mark.parametrize("state", [State.CONFIRMED, State.DELIVERED, State.LAPSED])
def test_an_acknowledgement_says_the_recorded_state(state):
    answer = acknowledgement(message(), Fingerprint.of(b"c"), state, LATER)
    assert (answer.sender, answer.body.state, answer.body.certificate_digest) == (C, state.value, Fingerprint.of(b"c"))


def test_no_acknowledgement_says_another_state():
    with pytest.raises(ValueError, match="state"):
        acknowledgement(message(), Fingerprint.of(b"c"), State.ISSUED, LATER)


# --- what is recorded


CASE = case_of(PROOF)
ADMITTED = tuple(replace(one, at=LATER) for one in (CONSUMED, PINNED))
HELD_CASE = replace(CASE, before=State.PENDING)
STORED_REQUEST = StoreMessage(KEY, "enrollment.request", b"sealed request", LATER, outgoing=False, issuer=C)
STORED_REPLY = StoreMessage(KEY, "enrollment.reply", b"reply", LATER, outgoing=True, issuer=C)


def opening(state, **changes):
    return OpenTransaction(KEY, state, CASE.opened.digest, LATER, EXPIRY, ("dns:api.client-b.example",), **changes)


def issued(case):
    spec = ISSUANCE.approved.spec
    record = RecordCertificate(
        serial=SERIAL,
        issuer=C,
        subject=B,
        transaction=TRANSACTION,
        certificate=b"certificate",
        public_key=make_request().key.fingerprint,
        not_before=spec.not_before,
        not_after=spec.not_after,
    )
    audit = Audit(LATER, "issued", B, TRANSACTION, "serial abc")
    return unit_for_issued(case, ISSUANCE, b"reply", LATER), record, audit


def test_an_issuance_is_one_unit_with_the_invitation_that_it_uses_up():
    unit, record, audit = issued(CASE)
    assert unit == Unit((*ADMITTED, opening(State.ISSUED, serial=SERIAL), STORED_REQUEST, record, STORED_REPLY, audit))


def test_the_issuance_of_a_held_request_moves_its_transaction():
    unit, record, audit = issued(HELD_CASE)
    move = MoveTransaction(KEY, State.PENDING, State.ISSUED, LATER, SERIAL, ())
    assert unit == Unit((ADMITTED[1], move, record, STORED_REPLY, audit))


def test_a_held_request_uses_the_invitation_up_and_pins_no_root_before_it_is_approved():
    verdict = judge(make_request(), replace(PARTNER, policy=make_policy(approval=Approval.MANUAL)), make_context())
    assert isinstance(verdict, Held)
    unit = unit_for_pending(CASE, verdict, b"reply", LATER)
    audit = Audit(LATER, "held", B, TRANSACTION, verdict.reason)
    assert unit == Unit((ADMITTED[0], opening(State.PENDING), STORED_REQUEST, STORED_REPLY, audit))


def test_a_refusal_leaves_the_invitation_good():
    unit = unit_for_refused(CASE, (FAULT, FAULT), b"reply", LATER)
    audit = Audit(LATER, "refused", B, TRANSACTION, "key; key")
    assert unit == Unit((opening(State.REFUSED, problems=(FAULT, FAULT)), STORED_REQUEST, STORED_REPLY, audit))


def test_the_refusal_of_a_held_request_moves_its_transaction():
    unit = unit_for_refused(HELD_CASE, (FAULT,), b"reply", LATER)
    move = MoveTransaction(KEY, State.PENDING, State.REFUSED, LATER, None, (FAULT,))
    assert unit == Unit((move, STORED_REPLY, Audit(LATER, "refused", B, TRANSACTION, "key")))


@pytest.mark.parametrize("state", [state for state in State if (state, Event.DECLINED) not in TABLE[Role.ISSUER]])
def test_what_the_table_does_not_list_is_not_recorded(state):
    with pytest.raises(TransitionError):
        unit_for_refused(replace(CASE, before=state), (FAULT,), b"reply", LATER)


def test_what_was_asked_for_and_is_not_in_the_certificate_stands_in_the_trail():
    issuance = issuance_with("attribute 1.2.3: of unknown type", "lifetime: cut")
    *_, audit = unit_for_issued(CASE, issuance, b"reply", LATER).effects
    assert audit.detail == "serial abc; attribute 1.2.3: of unknown type; lifetime: cut"


# --- what this version does not do


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"profile": "channel-server"}, ProblemCode.BAD_CERT_TEMPLATE),
        ({"predecessor": SerialNumber("abc")}, ProblemCode.BAD_REQUEST),
    ],
    ids=["profile", "predecessor"],
)
def test_what_is_asked_for_and_not_done_is_refused_and_not_passed_over(wanted, code):
    case = parse(opened(body=EnrollmentRequest(csr=b"csr", **wanted)), b"sealed")
    (problem,) = case.csr.problems
    ((field, value),) = wanted.items()
    assert (problem.code, problem.field, str(value) in problem.got) == (code, field, True)


def test_everything_that_is_not_done_is_refused_at_once():
    body = EnrollmentRequest(csr=b"csr", profile="", predecessor=SerialNumber("abc"))
    assert [one.field for one in parse(opened(body=body), b"sealed").csr.problems] == ["profile", "predecessor"]


# --- confirmations


WITHDRAWN = RevokeCertificate(SERIAL, C, LATER, "rejection received")
OUTCOMES = [
    (Verified(seen=SEEN), True, State.CONFIRMED, "confirmation received", ()),
    (Verified(seen=SEEN), False, State.DELIVERED, "confirmation of a channel not seen here", ()),
    (Delivered(), True, State.DELIVERED, "key kept elsewhere", ()),
    (Delivered(), False, State.DELIVERED, "key kept elsewhere", ()),
    (Rejected(problem=FAULT), True, State.LAPSED, f"rejection received; {FAULT}", (WITHDRAWN,)),
]


def confirmed(result, before, *, shown=True):
    confirmation = EnrollmentConfirmation(certificate_digest=Fingerprint.of(b"c"), result=result)
    return unit_for_confirmation(Unconfirmed(KEY, SERIAL, C), before, confirmation, LATER, shown=shown)


@pytest.mark.parametrize(("result", "shown", "after", "why", "effects"), OUTCOMES)
def test_a_confirmation_closes_the_transaction(result, shown, after, why, effects):
    unit, state = confirmed(result, State.ISSUED, shown=shown)
    move, audit = (
        MoveTransaction(KEY, State.ISSUED, after, LATER, problems=(FAULT,) if effects else None),
        Audit(LATER, after, B, TRANSACTION, f"serial abc: {why}"),
    )
    assert (unit, state) == (Unit((move, *effects, audit)), after)


@pytest.mark.parametrize("before", [State.CONFIRMED, State.DELIVERED, State.LAPSED])
@pytest.mark.parametrize("result", [outcome[0] for outcome in OUTCOMES])
def test_a_later_confirmation_changes_nothing(result, before):
    assert confirmed(result, before) == (None, before)


def test_a_lapse_withdraws_the_certificate():
    why = "no confirmation in time"
    assert unit_for_lapse(Unconfirmed(KEY, SERIAL, C), LATER) == Unit(
        (
            MoveTransaction(KEY, State.ISSUED, State.LAPSED, LATER),
            RevokeCertificate(SERIAL, C, LATER, why),
            Audit(LATER, "lapsed", B, TRANSACTION, f"serial abc: {why}"),
        )
    )


# --- sessions on our channel


@pytest.mark.parametrize("stated", [True, False])
def test_a_session_records_which_certificate_was_shown_and_what_each_end_saw(stated):
    ours = SEEN.model_copy(update={"serial": SerialNumber("cafe")})
    statement = ChannelStatement(organisation=B, sees=ours) if stated else None
    session = RecordSession(B, LATER, SEEN.model_dump_json(), ours.model_dump_json() if stated else None)
    assert unit_for_session(statement, SEEN, B, C, LATER) == Unit((MarkShown(SERIAL, C, LATER), session))
