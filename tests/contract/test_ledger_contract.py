"""What every ledger promises: each effect recorded, in conflict and repeated; units and batches; every question."""

from __future__ import annotations

from datetime import timedelta

import pytest
from kit.ledger_units import (
    LATER,
    NOW,
    OTHER,
    PARTNER,
    REPLY,
    REQUEST,
    SECRET,
    US,
    certified,
    consumed,
    invitation_id,
    invited,
    key,
    moved,
    noted,
    opened,
    pinned,
    seen,
    serial,
    shown,
    stored,
    transaction_id,
    unit,
    unpinned,
)

from agents.adapters.ledger.statements import QUARANTINE_MAX
from agents.core import effects as fx
from agents.ports import (
    AnchorRecord,
    BacklogRecord,
    CertificateRecord,
    InvitationRecord,
    SessionRecord,
    TransactionRecord,
)
from protocol.broker import BrokerAddress
from protocol.errors import Problem, ProblemCode
from protocol.messages import Endpoint
from protocol.names import DnsName, Fingerprint
from protocol.transaction import Role, State

PROBLEM = Problem(code=ProblemCode.BAD_POP, field="csr", got="'\\xe9'", allowed="a signature", fix="Sign it.")


def commit(ledger, *effects):
    """Commit one unit; whether it was recorded."""
    (recorded,) = ledger.commit([unit(*effects)])
    return recorded


def bodies(records):
    return [record.body for record in records]


# --- transactions ----------------------------------------------------------------------------------------------------


def test_a_transaction_is_kept_as_it_was_opened(ledger):
    effect = opened(
        1,
        serial=serial(0xABC),
        problems=(PROBLEM,),
        key_path="keys/1.pem",
        invitation=invitation_id(9),
        state=State.CREATED,
    )
    assert commit(ledger, effect)
    assert ledger.transactions([effect.key]) == {
        effect.key: TransactionRecord(
            key=effect.key,
            state=State.CREATED,
            request_digest=Fingerprint.of(b"request"),
            created_at=NOW,
            updated_at=NOW,
            expires_at=LATER,
            names=("a.example",),
            serial=serial(0xABC),
            problems=(PROBLEM,),
            key_path="keys/1.pem",
            invitation=invitation_id(9),
            approval=None,
            approval_reason=None,
        )
    }


def test_a_transaction_cannot_be_opened_twice(ledger):
    assert commit(ledger, opened(1))
    assert not commit(ledger, opened(1, state=State.ISSUED))
    assert ledger.transactions([key(1)])[key(1)].state is State.PENDING


def test_the_same_id_in_another_role_or_from_another_partner_is_another_transaction(ledger):
    keys = [key(1), key(1, role=Role.REQUESTER), key(1, partner=OTHER)]
    assert ledger.commit([unit(opened(1, key=one)) for one in keys]) == (True, True, True)
    assert ledger.transactions(keys).keys() == set(keys)


def test_a_move_changes_the_state_and_what_it_names(ledger):
    commit(ledger, opened(1, serial=serial(5), problems=(PROBLEM,)))
    assert commit(ledger, moved(1, State.PENDING, State.ISSUED))
    record = ledger.transactions([key(1)])[key(1)]
    kept = (record.state, record.updated_at, record.created_at, record.serial, record.problems)
    assert kept == (State.ISSUED, LATER, NOW, serial(5), (PROBLEM,))
    assert commit(ledger, moved(1, State.ISSUED, State.LAPSED, serial=serial(6), problems=()))
    record = ledger.transactions([key(1)])[key(1)]
    assert (record.state, record.serial, record.problems) == (State.LAPSED, serial(6), ())


def test_a_move_from_another_state_conflicts(ledger):
    commit(ledger, opened(1))
    assert not commit(ledger, moved(1, State.ISSUED, State.CONFIRMED))
    assert ledger.transactions([key(1)])[key(1)].state is State.PENDING


def test_a_move_of_an_unknown_transaction_conflicts(ledger):
    commit(ledger, opened(1))
    assert not commit(ledger, moved(2, State.PENDING, State.ISSUED))
    assert not commit(ledger, moved(1, State.PENDING, State.ISSUED, key=key(1, partner=OTHER)))
    assert not commit(ledger, moved(1, State.PENDING, State.ISSUED, key=key(1, role=Role.REQUESTER)))


@pytest.mark.parametrize("approve", [True, False])
def test_an_operators_word_is_kept_and_said_once(ledger, approve):
    commit(ledger, opened(1))
    assert commit(ledger, fx.RecordApproval(key(1), approve, "known by phone", LATER))
    record = ledger.transactions([key(1)])[key(1)]
    assert (record.approval, record.approval_reason, record.updated_at) == (approve, "known by phone", LATER)
    assert not commit(ledger, fx.RecordApproval(key(1), not approve, "second thoughts", LATER))
    assert ledger.transactions([key(1)])[key(1)].approval is approve


def test_only_a_pending_transaction_can_be_approved(ledger):
    commit(ledger, opened(1, state=State.ISSUED))
    assert not commit(ledger, fx.RecordApproval(key(1), approve=True, reason="", at=NOW))
    assert not commit(ledger, fx.RecordApproval(key(2), approve=True, reason="", at=NOW))


def test_transactions_are_listed_newest_first_and_filtered(ledger):
    minutes = {1: 2, 2: 3, 3: 1}
    commit(ledger, *[opened(n, created_at=NOW + timedelta(minutes=m)) for n, m in minutes.items()])
    commit(ledger, moved(2, State.PENDING, State.ISSUED))
    commit(ledger, opened(4, key=key(4, role=Role.REQUESTER), state=State.SENT))

    def listed(*args, **kwargs):
        return [record.key.id for record in ledger.list_transactions(*args, **kwargs)]

    in_order = [transaction_id(n) for n in (2, 1, 3, 4)]
    assert listed() == in_order
    assert listed(limit=2) == in_order[:2]
    assert listed(Role.REQUESTER) == [transaction_id(4)]
    assert listed(Role.ISSUER, [State.PENDING]) == [transaction_id(1), transaction_id(3)]
    assert listed(states=[State.ISSUED, State.SENT]) == [transaction_id(2), transaction_id(4)]
    assert listed(states=[]) == []


def test_requests_are_found_by_the_invitation_whose_proof_they_carry(ledger):
    ours = [key(n, role=Role.REQUESTER) for n in range(4)]
    minutes = dict(zip(ours, (2, 3, 1, 0), strict=True))
    for one, minute in minutes.items():
        shown = None if one == ours[3] else invitation_id(1)
        commit(ledger, opened(1, key=one, created_at=NOW + timedelta(minutes=minute), invitation=shown))
    assert [record.key for record in ledger.begun_with(invitation_id(1))] == [ours[1], ours[0], ours[2]]
    assert ledger.begun_with(invitation_id(2)) == ()


def listed_one_by_one(ledger, *args, **kwargs):
    """The numbers of transactions, each asked for behind the one before."""
    found, last = [], None
    while rows := ledger.next_transactions(*args, 1, last, **kwargs):
        (last,) = rows
        found.append(int(last.key.id[-12:], 16))
    return found


def test_transactions_that_wait_for_work_come_oldest_first_one_behind_the_other(ledger):
    minutes = {1: 2, 2: 3, 3: 1, 4: 2}
    commit(ledger, *[opened(n, created_at=NOW + timedelta(minutes=m)) for n, m in minutes.items()])
    commit(ledger, opened(5, state=State.ISSUED), opened(6, key=key(6, role=Role.REQUESTER)))
    assert listed_one_by_one(ledger, Role.ISSUER, [State.PENDING]) == [3, 1, 4, 2]
    assert listed_one_by_one(ledger, Role.ISSUER, [State.PENDING, State.ISSUED]) == [5, 3, 1, 4, 2]
    assert listed_one_by_one(ledger, Role.REQUESTER, [State.PENDING]) == [6]
    assert listed_one_by_one(ledger, Role.ISSUER, []) == []
    first, second = ledger.next_transactions(Role.ISSUER, [State.PENDING], 2)
    assert (first.key, second.key) == (key(3), key(1))
    commit(ledger, moved(1, State.PENDING, State.ISSUED))
    assert [one.key for one in ledger.next_transactions(Role.ISSUER, [State.PENDING], 9, second)] == [key(4), key(2)]


def test_two_partners_transactions_with_one_id_and_moment_both_have_their_turn(ledger):
    commit(ledger, opened(1), opened(1, key=key(1, partner=OTHER)))
    assert listed_one_by_one(ledger, Role.ISSUER, [State.PENDING]) == [1, 1]


def test_transactions_that_wait_for_work_are_filtered(ledger):
    early = NOW + timedelta(minutes=1)
    commit(ledger, opened(1), opened(2, key=key(2, partner=OTHER)), opened(3, expires_at=early))
    commit(ledger, fx.RecordApproval(key(1), approve=False, reason="no", at=LATER))

    def listed(**kwargs):
        return listed_one_by_one(ledger, Role.ISSUER, [State.PENDING], **kwargs)

    assert (listed(partner=PARTNER), listed(partner=OTHER), listed(partner=US)) == ([1, 3], [2], [])
    assert (listed(decided=True), listed(decided=False)) == ([1], [2, 3])
    assert (listed(expires_before=early), listed(expires_before=LATER)) == ([], [3])
    assert (listed(updated_before=NOW), listed(updated_before=LATER)) == ([], [2, 3])
    assert listed(decided=False, partner=PARTNER, expires_before=LATER) == [3]


CONFIRMATION, ACKNOWLEDGEMENT = "enrollment.confirmation", "enrollment.acknowledgement"


def confirmed(number, created_at=NOW, state=State.VERIFIED, partner=PARTNER, role=Role.REQUESTER):
    """A transaction that has ended, and its confirmation."""
    name = key(number, partner, role)
    opening = opened(number, key=name, state=state, created_at=created_at)
    return opening, stored(number, b"confirmation", key=name, type=CONFIRMATION)


def test_confirmations_without_an_acknowledgement_are_found_one_behind_the_other(ledger):
    commit(ledger, *confirmed(1, LATER), *confirmed(2), *confirmed(3, state=State.FAILED), *confirmed(4))
    commit(ledger, *confirmed(5, partner=OTHER), *confirmed(6, role=Role.ISSUER))
    commit(ledger, opened(7, key=key(7, role=Role.REQUESTER), state=State.FAILED))
    ours = key(4, role=Role.REQUESTER)
    commit(ledger, stored(4, b"acknowledged", key=ours, type=ACKNOWLEDGEMENT, outgoing=False))
    long_ago = NOW - timedelta(days=1)
    first, second = ledger.unacknowledged(PARTNER, long_ago, 2)
    assert [first.key, second.key] == [key(2, role=Role.REQUESTER), key(3, role=Role.REQUESTER)]
    assert [one.key.id for one in ledger.unacknowledged(PARTNER, long_ago, 9, second)] == [key(1).id]
    assert [one.key.id for one in ledger.unacknowledged(PARTNER, NOW, 9)] == [key(1).id]
    assert [one.key.id for one in ledger.unacknowledged(OTHER, long_ago, 9)] == [key(5).id]


def test_many_transactions_are_found_at_once(ledger):
    keys = [key(n) for n in range(1300)]
    ledger.commit([unit(opened(0, key=one)) for one in keys])
    assert set(ledger.transactions([*keys, key(5000)])) == set(keys)
    assert ledger.transactions([key(7, partner=OTHER), key(7, role=Role.REQUESTER)]) == {}
    assert ledger.transactions([]) == {}


# --- certificates ----------------------------------------------------------------------------------------------------


def test_a_certificate_is_kept_as_it_was_issued(ledger):
    effect = certified(7)
    assert commit(ledger, effect)
    assert ledger.certificate(US, serial(7)) == CertificateRecord(
        serial=serial(7),
        issuer=US,
        subject=PARTNER,
        transaction=transaction_id(7),
        certificate=effect.certificate,
        public_key=Fingerprint.of(b"key"),
        not_before=NOW,
        not_after=NOW + timedelta(days=90),
        revoked_at=None,
        shown_at=None,
    )


def test_an_issuer_has_a_serial_once_and_another_issuer_may_have_the_same(ledger):
    assert commit(ledger, certified(7))
    assert not commit(ledger, certified(7, subject=OTHER))
    assert commit(ledger, certified(7, issuer=PARTNER, subject=US))
    assert ledger.certificate(US, serial(7)).subject == PARTNER
    assert ledger.certificate(PARTNER, serial(7)).subject == US
    assert ledger.certificate(OTHER, serial(7)) is None


def test_a_revocation_stands_from_the_first_one_on(ledger):
    commit(ledger, certified(7), certified(8))
    assert commit(ledger, fx.RevokeCertificate(serial(7), US, NOW, "keyCompromise"))
    assert commit(ledger, fx.RevokeCertificate(serial(7), US, LATER, "superseded"))
    assert ledger.certificate(US, serial(7)).revoked_at == NOW
    assert ledger.certificate(US, serial(8)).revoked_at is None


def test_revoking_an_unknown_certificate_is_not_taken_for_done(ledger):
    commit(ledger, certified(7))
    assert not commit(ledger, fx.RevokeCertificate(serial(7), PARTNER, NOW, "superseded"))


def test_a_certificate_was_shown_from_the_first_time_on(ledger):
    commit(ledger, certified(7), certified(8), certified(7, issuer=PARTNER, subject=US))
    assert commit(ledger, shown(7))
    assert commit(ledger, shown(7, at=LATER))
    assert ledger.certificate(US, serial(7)).shown_at == NOW
    assert (ledger.certificate(US, serial(8)).shown_at, ledger.certificate(PARTNER, serial(7)).shown_at) == (None, None)
    assert commit(ledger, shown(9))


def test_certificates_are_listed_newest_first(ledger):
    commit(ledger, certified(7), certified(8, subject=OTHER), certified(2))
    assert [record.serial for record in ledger.certificates()] == [serial(2), serial(8), serial(7)]
    assert [record.serial for record in ledger.certificates(PARTNER)] == [serial(2), serial(7)]
    assert [record.serial for record in ledger.certificates(limit=1)] == [serial(2)]
    assert [record.serial for record in ledger.certificates(PARTNER, limit=1)] == [serial(2)]
    assert ledger.certificates(US) == ()


def test_every_holder_of_a_public_key_is_named(ledger):
    shared, single, unknown = (Fingerprint.of(data) for data in (b"key", b"single", b"unknown"))
    commit(ledger, certified(1), certified(2), certified(3, subject=OTHER), certified(4, public_key=single))
    assert ledger.key_holders([shared, single, unknown]) == {
        shared: frozenset({PARTNER, OTHER}),
        single: frozenset({PARTNER}),
    }


# --- partners and anchors --------------------------------------------------------------------------------------------


def test_what_is_known_of_a_partner_grows_and_nothing_is_forgotten(ledger):
    assert ledger.partner(PARTNER) is None
    assert commit(ledger, fx.RecordPartner(PARTNER, NOW))
    assert (ledger.partner(PARTNER).agreed, ledger.partner(PARTNER).endpoint) == (False, None)
    endpoint = Endpoint(host=DnsName("api.client-b.example"), port=8443)
    broker = BrokerAddress("amqps://broker.example:5671")
    assert commit(ledger, fx.RecordPartner(PARTNER, NOW, broker=broker, endpoint=endpoint))
    assert commit(ledger, fx.RecordPartner(PARTNER, NOW, agreed=True))
    partner = ledger.partner(PARTNER)
    assert (partner.broker, partner.endpoint, partner.agreed) == (broker, endpoint, True)
    assert commit(ledger, fx.RecordPartner(PARTNER, NOW, agreed=False))
    assert not ledger.partner(PARTNER).agreed


def test_an_anchor_is_pinned_before_and_after_its_certificate_is_seen(ledger):
    fingerprint = Fingerprint.of(b"root")
    assert commit(ledger, pinned(b"root", certificate=None))
    assert ledger.partner(PARTNER).anchors == (AnchorRecord(Role.REQUESTER, fingerprint, None),)
    assert commit(ledger, pinned(b"root"))
    assert commit(ledger, pinned(b"root", certificate=None))
    assert ledger.partner(PARTNER).anchors == (AnchorRecord(Role.REQUESTER, fingerprint, b"root"),)


def test_a_partner_with_an_anchor_gets_no_other_one(ledger):
    assert commit(ledger, pinned(b"root"))
    assert not commit(ledger, pinned(b"forged"))
    assert [anchor.fingerprint for anchor in ledger.partner(PARTNER).anchors] == [Fingerprint.of(b"root")]


def test_an_anchor_is_pinned_for_one_role_whatever_is_pinned_for_the_other(ledger):
    root = Fingerprint.of(b"root")
    assert commit(ledger, pinned(b"root", acts_as=Role.ISSUER, certificate=None))
    assert (ledger.partner(PARTNER).pinned_as(Role.ISSUER), ledger.partner(PARTNER).pinned_as(Role.REQUESTER)) == (
        {root},
        frozenset(),
    )
    assert commit(ledger, pinned(b"another"))
    partner = ledger.partner(PARTNER)
    assert (partner.pinned_as(Role.ISSUER), partner.pinned_as(Role.REQUESTER)) == ({root}, {Fingerprint.of(b"another")})
    assert (partner.certificates_as(Role.ISSUER), partner.certificates_as(Role.REQUESTER)) == ((), (b"another",))


def test_an_anchor_that_was_seen_is_filled_in_where_it_is_pinned_and_pins_nothing(ledger):
    assert commit(ledger, seen(b"root"))
    assert ledger.partner(PARTNER) is None
    assert commit(ledger, pinned(b"root", certificate=None))
    assert commit(ledger, seen(b"forged"), seen(b"root", acts_as=Role.ISSUER), seen(b"root", partner=OTHER))
    assert ledger.partner(PARTNER).anchors == (AnchorRecord(Role.REQUESTER, Fingerprint.of(b"root"), None),)
    assert commit(ledger, seen(b"root"))
    assert ledger.partner(PARTNER).anchors == (AnchorRecord(Role.REQUESTER, Fingerprint.of(b"root"), b"root"),)


def test_an_anchor_is_removed_in_one_role_and_another_can_then_be_pinned(ledger):
    assert commit(ledger, pinned(b"root"), pinned(b"root", acts_as=Role.ISSUER), pinned(b"root", partner=OTHER))
    assert commit(ledger, unpinned(b"root"))
    assert ledger.partner(PARTNER).anchors == (AnchorRecord(Role.ISSUER, Fingerprint.of(b"root"), b"root"),)
    assert len(ledger.partner(OTHER).anchors) == 1
    assert commit(ledger, pinned(b"another"))
    assert ledger.partner(PARTNER).pinned_as(Role.REQUESTER) == {Fingerprint.of(b"another")}


@pytest.mark.parametrize("changes", [{"acts_as": Role.ISSUER}, {"partner": OTHER}])
def test_an_anchor_that_is_not_pinned_cannot_be_removed(ledger, changes):
    assert commit(ledger, pinned(b"root"), fx.RecordPartner(OTHER, NOW))
    assert not commit(ledger, unpinned(b"root", **changes))
    assert not commit(ledger, unpinned(b"another"))
    assert commit(ledger, unpinned(b"root"))
    assert not commit(ledger, unpinned(b"root"))


def test_an_anchor_is_replaced_by_effects_in_their_order_within_one_commit(ledger):
    assert commit(ledger, pinned(b"root"), unpinned(b"root"), pinned(b"another"))
    assert ledger.partner(PARTNER).pinned_as(Role.REQUESTER) == {Fingerprint.of(b"another")}


def test_two_partners_may_have_the_same_anchor_and_each_has_its_own(ledger):
    assert commit(ledger, pinned(b"root"), pinned(b"root", partner=OTHER), fx.RecordPartner(US, NOW))
    assert [partner.name for partner in ledger.partners()] == [PARTNER, US, OTHER]
    assert [len(partner.anchors) for partner in ledger.partners()] == [1, 0, 1]


# --- invitations -----------------------------------------------------------------------------------------------------


def test_an_invitation_is_kept_with_the_key_that_checks_its_proof(ledger):
    assert commit(ledger, invited(1))
    record = InvitationRecord(invitation_id(1), PARTNER, SECRET, LATER, None, None)
    assert ledger.invitations([invitation_id(1), invitation_id(2)]) == {invitation_id(1): record}
    assert not commit(ledger, invited(1, partner=OTHER))


def test_an_invitation_is_used_by_one_transaction_which_may_repeat(ledger):
    commit(ledger, invited(1))
    assert commit(ledger, consumed(1, by=1))
    assert commit(ledger, consumed(1, by=1))
    assert not commit(ledger, consumed(1, by=2))
    record = ledger.invitations([invitation_id(1)])[invitation_id(1)]
    assert (record.consumed_by, record.proof_key) == (transaction_id(1), SECRET)


@pytest.mark.parametrize(
    "effect",
    [
        pytest.param(consumed(2, by=1), id="unknown"),
        pytest.param(consumed(1, by=1, partner=OTHER), id="another partner's"),
        pytest.param(consumed(1, by=1, at=LATER), id="expired"),
    ],
)
def test_an_invitation_that_cannot_be_used_stays_unused(ledger, effect):
    commit(ledger, invited(1))
    assert not commit(ledger, effect)
    assert ledger.invitations([invitation_id(1)])[invitation_id(1)].consumed_by is None


def test_an_invitation_can_be_used_until_just_before_it_expires(ledger):
    commit(ledger, invited(1))
    assert commit(ledger, consumed(1, by=1, at=LATER - timedelta(microseconds=1)))


def test_withdrawing_spares_what_is_used_what_is_another_partner_s_and_what_is_made_afterwards(ledger):
    commit(ledger, invited(1), invited(2), invited(3, partner=OTHER), consumed(2, by=2))
    assert commit(ledger, fx.WithdrawInvitations(PARTNER, NOW), invited(4))
    assert commit(ledger, fx.WithdrawInvitations(OTHER, NOW - timedelta(days=1)))
    found = ledger.invitations([invitation_id(n) for n in (1, 2, 3, 4)])
    assert [found[invitation_id(n)].withdrawn_at for n in (1, 2, 3, 4)] == [NOW, None, NOW - timedelta(days=1), None]
    assert not commit(ledger, consumed(1, by=1))
    assert commit(ledger, consumed(2, by=2), consumed(4, by=4))


def test_the_first_withdrawal_stands(ledger):
    commit(ledger, invited(1), fx.WithdrawInvitations(PARTNER, NOW))
    commit(ledger, fx.WithdrawInvitations(PARTNER, LATER))
    assert ledger.invitations([invitation_id(1)])[invitation_id(1)].withdrawn_at == NOW


def test_the_invitations_of_a_partner_that_could_be_used_are_listed(ledger):
    commit(ledger, invited(9), fx.WithdrawInvitations(PARTNER, NOW), invited(8, created_at=NOW - timedelta(hours=1)))
    commit(ledger, invited(1), invited(2), invited(3, partner=OTHER), invited(4, expires_at=NOW), consumed(2, by=2))
    open_ones = [record.id for record in ledger.open_invitations(PARTNER, NOW)]
    assert open_ones == [invitation_id(8), invitation_id(1)]


# --- messages and the outbox -----------------------------------------------------------------------------------------


def test_the_latest_message_of_a_type_is_found_incoming_or_outgoing(ledger):
    commit(ledger, stored(1, b"asked", type=REQUEST, outgoing=False), stored(1, b"first"), stored(1, b"second"))
    commit(ledger, stored(1, b"other partner", key=key(1, partner=OTHER)))
    found = ledger.message(key(1), REPLY)
    assert (found.key, found.type, found.body, found.issuer) == (key(1), REPLY, b"second", US)
    assert ledger.message(key(1), REQUEST).body == b"asked"
    assert ledger.message(key(1), "enrollment.confirmation") is None
    assert ledger.message(key(2), REPLY) is None


def test_every_byte_of_a_message_is_kept(ledger):
    body = bytes(range(256)) * 1024
    commit(ledger, stored(1, body))
    assert ledger.message(key(1), REPLY).body == body


def test_the_outbox_holds_outgoing_messages_of_a_link_oldest_first(ledger):
    commit(ledger, *[stored(n, b"%d" % n) for n in range(1, 5)], stored(5, b"in", outgoing=False))
    commit(ledger, stored(6, b"elsewhere", issuer=OTHER))
    records = ledger.outbox(US, limit=10)
    assert bodies(records) == [b"1", b"2", b"3", b"4"]
    assert [record.sequence for record in records] == sorted({record.sequence for record in records})
    assert bodies(ledger.outbox(US, limit=2)) == [b"1", b"2"]
    assert bodies(ledger.outbox(US, limit=2, after=records[1].sequence)) == [b"3", b"4"]
    assert bodies(ledger.outbox(OTHER, limit=10)) == [b"elsewhere"]


def test_the_outbox_tells_what_has_waited_for_long(ledger):
    commit(ledger, stored(1, b"1", at=LATER), stored(2, b"2"), stored(3, b"3", at=LATER - timedelta(microseconds=1)))
    assert bodies(ledger.outbox(US, limit=10, stored_before=LATER)) == [b"2", b"3"]
    assert bodies(ledger.outbox(US, limit=1, stored_before=LATER)) == [b"2"]
    assert ledger.outbox(US, limit=10, stored_before=NOW) == ()


def test_a_published_message_leaves_the_outbox_and_stays_in_the_ledger(ledger):
    commit(ledger, *[stored(n, b"%d" % n) for n in range(1, 4)])
    first, second, _ = (record.sequence for record in ledger.outbox(US, limit=10))
    assert commit(ledger, fx.MarkPublished((first, second), NOW))
    assert commit(ledger, fx.MarkPublished((first, 10_000), NOW), fx.MarkPublished((), NOW))
    assert bodies(ledger.outbox(US, limit=10)) == [b"3"]
    assert ledger.message(key(1), REPLY).body == b"1"


def test_a_message_is_marked_by_name_and_a_later_one_of_that_name_never_is(ledger):
    commit(ledger, stored(1, b"in", outgoing=False), stored(1, b"pending"), stored(2, b"other"))
    commit(ledger, stored(1, b"issued"))
    assert commit(ledger, fx.MarkSent(((key(1), REPLY), (key(2), REQUEST), (key(3), REPLY)), NOW))
    assert bodies(ledger.outbox(US, limit=10)) == [b"other", b"issued"]
    assert commit(ledger, fx.MarkSent(((key(1), REPLY), (key(2), REPLY)), NOW), fx.MarkSent((), NOW))
    assert bodies(ledger.outbox(US, limit=10)) == [b"issued"]


def test_a_message_can_be_published_again(ledger):
    commit(ledger, stored(1, b"old"), stored(1, b"new"), stored(1, b"in", outgoing=False), stored(2, b"other"))
    sequences = tuple(record.sequence for record in ledger.outbox(US, limit=10))
    commit(ledger, fx.MarkPublished(sequences, NOW))
    assert commit(ledger, fx.MarkUnpublished(key(1), REPLY))
    assert commit(ledger, fx.MarkUnpublished(key(1), REPLY), fx.MarkUnpublished(key(3), REPLY))
    assert bodies(ledger.outbox(US, limit=10)) == [b"new"]


# --- sessions, quarantine --------------------------------------------------------------------------------------------


def test_the_latest_session_with_a_partner_is_kept(ledger):
    assert ledger.last_session(PARTNER) is None
    assert commit(ledger, fx.RecordSession(PARTNER, LATER, '{"certificate": "b"}', None))
    assert commit(ledger, fx.RecordSession(PARTNER, NOW, "{}", "{}"), fx.RecordSession(OTHER, NOW, "{}", "{}"))
    assert ledger.last_session(PARTNER) == SessionRecord(PARTNER, LATER, '{"certificate": "b"}', "{}")
    assert ledger.last_session(OTHER) == SessionRecord(OTHER, NOW, "{}", "{}")


def test_what_a_session_does_not_say_stays_as_it_was_said(ledger):
    commit(ledger, fx.RecordSession(PARTNER, NOW, None, "they saw"))
    commit(ledger, fx.RecordSession(PARTNER, LATER, "we saw", None))
    assert ledger.last_session(PARTNER) == SessionRecord(PARTNER, LATER, "we saw", "they saw")
    commit(ledger, fx.RecordSession(PARTNER, LATER, None, "they see"))
    assert ledger.last_session(PARTNER) == SessionRecord(PARTNER, LATER, "we saw", "they see")


def test_what_waits_is_counted(ledger):
    assert ledger.backlog(NOW) == BacklogRecord(to_leave=0, for_approval=0)
    commit(ledger, stored(1), stored(2, issuer=OTHER), stored(3, outgoing=False), stored(4))
    commit(ledger, fx.MarkPublished((1,), NOW))
    commit(ledger, *[opened(n) for n in (1, 2)], opened(3, key=key(3, role=Role.REQUESTER)), opened(4, expires_at=NOW))
    commit(ledger, fx.RecordApproval(key(2), approve=False, reason="no", at=NOW), opened(5, state=State.ISSUED))
    assert ledger.backlog(NOW) == BacklogRecord(to_leave=2, for_approval=2)
    assert ledger.backlog(LATER).for_approval == 1
    assert ledger.backlog(LATER + timedelta(microseconds=1)).for_approval == 0


def test_unusable_messages_are_kept_up_to_a_bound(ledger):
    assert ledger.quarantine_count() == 0
    poison = fx.Quarantine(US, NOW, "not an envelope", b"\xff" * 10)
    assert commit(ledger, poison, poison)
    assert ledger.quarantine_count() == 2
    ledger.commit([unit(poison)] * (QUARANTINE_MAX + 10))
    assert ledger.quarantine_count() == QUARANTINE_MAX


def test_garbage_from_one_virtual_host_pushes_out_nothing_of_another(ledger):
    evidence = fx.Quarantine(OTHER, NOW, "not an envelope", b"evidence")
    garbage = unit(fx.Quarantine(US, NOW, "not an envelope", b"garbage"))
    commit(ledger, evidence)
    ledger.commit([garbage] * (QUARANTINE_MAX - 1))
    ledger.commit([garbage, unit(evidence), *[garbage] * (QUARANTINE_MAX + 10)])
    assert ledger.quarantine_count() == QUARANTINE_MAX + 2


# --- units and batches -----------------------------------------------------------------------------------------------


def test_an_empty_commit_records_nothing(ledger):
    assert ledger.commit([]) == ()
    assert ledger.commit([unit()]) == (True,)


def test_a_unit_that_conflicts_leaves_no_trace(ledger):
    commit(ledger, invited(1), opened(9))
    before = everything(ledger)
    conflicting = moved(9, State.ISSUED, State.CONFIRMED)
    assert not commit(
        ledger,
        *(opened(1), certified(1), stored(1), consumed(1, by=1), pinned(b"root"), fx.RecordPartner(OTHER, NOW)),
        *(fx.RecordSession(PARTNER, NOW, "{}", None), fx.Quarantine(US, NOW, "bad", b"x"), conflicting),
    )
    assert everything(ledger) == before


def test_a_conflict_takes_its_own_unit_and_no_other(ledger):
    commit(ledger, opened(2))
    batch = [unit(opened(n), certified(n), stored(n, b"%d" % n)) for n in range(1, 5)]
    assert ledger.commit(batch) == (True, False, True, True)
    assert bodies(ledger.outbox(US, limit=10)) == [b"1", b"3", b"4"]
    assert {record.serial for record in ledger.certificates()} == {serial(n) for n in (1, 3, 4)}


def test_what_a_unit_wrote_before_its_conflict_is_taken_back_from_the_batch(ledger):
    commit(ledger, opened(2))
    batch = [unit(stored(n, b"%d" % n), certified(n), noted(), opened(n)) for n in range(1, 4)]
    assert ledger.commit(batch) == (True, False, True)
    assert bodies(ledger.outbox(US, limit=10)) == [b"1", b"3"]
    assert ledger.message(key(2), REPLY) is None
    assert ledger.certificate(US, serial(2)) is None


def test_units_that_conflict_with_each_other_are_recorded_in_order(ledger):
    commit(ledger, invited(1))
    batch = [unit(consumed(1, by=n), opened(n)) for n in (3, 1, 2)]
    assert ledger.commit(batch) == (True, False, False)
    assert ledger.invitations([invitation_id(1)])[invitation_id(1)].consumed_by == transaction_id(3)


def test_a_unit_sees_what_earlier_units_of_the_batch_did(ledger):
    batch = [
        unit(moved(1, State.PENDING, State.ISSUED)),
        unit(opened(1)),
        unit(moved(1, State.PENDING, State.ISSUED), noted()),
        unit(moved(1, State.ISSUED, State.CONFIRMED)),
    ]
    assert ledger.commit(batch) == (False, True, True, True)
    assert ledger.transactions([key(1)])[key(1)].state is State.CONFIRMED


def test_a_naive_time_is_refused_before_anything_is_recorded(ledger):
    with pytest.raises(TypeError):
        commit(ledger, opened(1), fx.Audit(NOW.replace(tzinfo=None), "noted", None, None, ""))
    assert ledger.list_transactions() == ()
    assert commit(ledger, opened(1))


def everything(ledger):
    """All that can be asked."""
    return (
        ledger.partners(),
        ledger.invitations([invitation_id(n) for n in range(12)]),
        ledger.list_transactions(),
        bodies(ledger.outbox(US, limit=1000)),
        ledger.certificates(),
        [ledger.last_session(name) for name in (PARTNER, OTHER)],
        ledger.quarantine_count(),
    )
