"""Which answers of an issuer fit a request of ours, and what they record."""

import pytest
from kit.certificates import NOW
from kit.envelopes import TRANSACTION, B, C, D, message

from agents.core.answers import (
    NOT_JUDGED,
    WAITING,
    Answer,
    is_awaited,
    is_news,
    unit_for_no_certificate,
    unit_for_unacceptable,
    why_unusable,
)
from agents.core.effects import Audit, FillAnchor, MoveTransaction, StoreMessage, TransactionKey, Unit
from protocol.errors import ProblemCode, problem
from protocol.messages import EnrollmentAcknowledgement, EnrollmentReply, Pending, Refused
from protocol.names import Fingerprint
from protocol.transaction import TABLE, Event, Role, State

KEY = TransactionKey(Role.REQUESTER, C, TRANSACTION)
ROOT, DIGEST = b"root", Fingerprint.of(b"request")
PINNED = frozenset({Fingerprint.of(ROOT)})
FAULT = problem(ProblemCode.NOT_AUTHORIZED, "names", "x", "y", "Ask.")
HELD = EnrollmentReply(request_digest=DIGEST, result=Pending(reason="a person"))
REFUSED = EnrollmentReply(request_digest=DIGEST, result=Refused(problems=(FAULT,)))
KEPT = StoreMessage(KEY, "enrollment.reply", b"sealed", NOW, outgoing=False, issuer=C)
SEEN = FillAnchor(C, Role.ISSUER, ROOT)


def answer(body=HELD, root=ROOT, **changes):
    return Answer(message(**{"sender": C, "recipient": B, "body": body, **changes}), root, b"sealed")


def acknowledged(state):
    return EnrollmentAcknowledgement(certificate_digest=DIGEST, state=state)


@pytest.mark.parametrize("body", [HELD, REFUSED, acknowledged("confirmed")])
def test_an_answer_to_our_request_from_its_issuer_under_its_pinned_root_fits(body):
    assert why_unusable(answer(body), C, PINNED, DIGEST) is None


OTHERS = [
    (answer(sender=D), PINNED, DIGEST, "a message from client-d in the virtual host of client-c"),
    (answer(root=b"other"), PINNED, DIGEST, f"but pinned is {Fingerprint.of(ROOT)}"),
    (answer(), frozenset(), DIGEST, "but pinned is none"),
    (answer(body=message().body), PINNED, DIGEST, "enrollment.request, which an issuer does not send"),
    (answer(), PINNED, None, "never made here"),
    (answer(), PINNED, Fingerprint.of(b"other"), "a reply to another request"),
]


@pytest.mark.parametrize(("found", "pinned", "digest", "why"), OTHERS)
def test_any_other_answer_is_of_no_use_and_it_is_said_why(found, pinned, digest, why):
    assert why in why_unusable(found, C, pinned, digest)


def test_an_acknowledgement_names_no_request():
    assert why_unusable(answer(acknowledged("confirmed")), C, PINNED, Fingerprint.of(b"any")) is None


@pytest.mark.parametrize("state", State)
def test_a_reply_is_awaited_as_long_as_a_certificate_could_be_taken(state):
    assert is_awaited(REFUSED, state) == ((state, Event.GRANTED) in TABLE[Role.REQUESTER])
    assert is_awaited(HELD, state) == (state in WAITING and state is not State.PENDING)


NEWS = [
    (None, "confirmed", True),
    (None, "lapsed", True),
    ("confirmed", "confirmed", False),
    ("confirmed", "delivered", False),
    ("confirmed", "lapsed", True),
    ("lapsed", "lapsed", False),
    ("lapsed", "confirmed", False),
]


@pytest.mark.parametrize(("known", "said", "news"), NEWS)
def test_the_first_acknowledgement_is_news_and_one_that_withdraws_it(known, said, news):
    assert is_news(acknowledged(said), acknowledged(known) if known else None) == news


def test_a_reply_that_the_request_is_held_moves_it_and_keeps_the_root():
    move = MoveTransaction(KEY, State.SENT, State.PENDING, NOW)
    audit = Audit(NOW, "pending", C, TRANSACTION, "held for approval")
    assert unit_for_no_certificate(answer(), State.SENT, HELD.result, NOW) == Unit((move, KEPT, SEEN, audit))


def test_a_refusal_ends_the_request_with_its_problems():
    move = MoveTransaction(KEY, State.SENT, State.REFUSED, NOW, problems=(FAULT,))
    audit = Audit(NOW, "refused", C, TRANSACTION, "refused")
    assert unit_for_no_certificate(answer(), State.SENT, REFUSED.result, NOW) == Unit((move, KEPT, SEEN, audit))


def test_a_certificate_that_is_not_accepted_ends_the_request_and_its_issuer_is_told():
    told = StoreMessage(KEY, "enrollment.confirmation", b"rejected", NOW, outgoing=True, issuer=C)
    assert unit_for_unacceptable(answer(), State.SENT, (NOT_JUDGED,), told, NOW) == Unit(
        (
            MoveTransaction(KEY, State.SENT, State.ISSUED, NOW),
            KEPT,
            Audit(NOW, "issued", C, TRANSACTION, "certificate issued"),
            MoveTransaction(KEY, State.ISSUED, State.FAILED, NOW, problems=(NOT_JUDGED,)),
            told,
            Audit(NOW, "failed", C, TRANSACTION, "credential unusable"),
        )
    )
