"""How an installation ends: what is recorded, and what the issuer is told."""

import pytest
from kit.certificates import NOW
from kit.envelopes import TRANSACTION, C

from agents.core.effects import Audit, MoveTransaction, RecordSession, StoreMessage, TransactionKey, Unit
from agents.core.installation import unit_for_verified, why_abandoned, why_given_up
from agents.errors import NotVerifiedError, StateError, UnreachableError
from protocol.messages import PeerView
from protocol.names import Fingerprint, SerialNumber
from protocol.transaction import Role, State

KEY = TransactionKey(Role.REQUESTER, C, TRANSACTION)


def view(subject):
    return PeerView(
        certificate=Fingerprint.of(b"c"),
        serial=SerialNumber("abc"),
        subject=subject,
        names=(),
        tls_version="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
    )


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
