"""What a requester sends again until it is answered, how often, and for how long."""

import pytest
from kit.envelopes import B, C

from agents.adapters.entropy import SystemEntropy
from agents.core.agreement import Approval
from agents.core.effects import OpenTransaction, TransactionKey, Unit
from agents.core.requester import CONFIRMATION_LIFETIME
from agents.service import repetition
from agents.service.enrolling import REQUEST_LIFETIME
from agents.service.repetition import HELD, PAGE, UNACKNOWLEDGED, UNANSWERED, WATCH_SECONDS
from protocol.names import Fingerprint
from protocol.topology import reply_queue, request_queue
from protocol.transaction import Role, State

REPLIES, REQUESTS = reply_queue(B), request_queue(C)
CONFIRMATION = "enrollment.confirmation"


# --- a request


def test_a_request_without_an_answer_is_repeated_behind_a_thousand_younger_ones(world, sent):
    world.clock.move(seconds=UNANSWERED.first + 1)
    now = world.clock.now()
    keys = [TransactionKey(Role.REQUESTER, C, SystemEntropy().transaction_id(now)) for _ in range(PAGE)]
    others = [OpenTransaction(key, State.SENT, Fingerprint.of(b"x"), now, now + REQUEST_LIFETIME) for key in keys]
    assert all(world.b.ledger.commit([Unit((one,)) for one in others]))
    world.b.work()
    assert world.depth(REQUESTS) == 2


def test_all_that_wait_for_an_answer_are_looked_at_in_turn(world, monkeypatch):
    monkeypatch.setattr(repetition, "PAGE", 2)
    world.b.build()
    keys = [world.b.begin(world.issuer.invite(B)) for _ in range(5)]
    world.b.work()
    world.clock.move(seconds=UNANSWERED.first + 1)
    for _ in range(4):
        world.b.work()
        world.clock.move(seconds=WATCH_SECONDS)
    assert world.depth(REQUESTS) == 2 * len(keys)


def test_a_request_without_an_answer_is_repeated_more_and_more_rarely_in_the_same_bytes(world, sent):
    world.clock.move(seconds=UNANSWERED.first + 1)
    world.b.work(2)
    assert world.depth(REQUESTS) == 2
    for _ in range(60):
        world.clock.move(minutes=1)
        world.b.work(2)
    bodies = {held.body for held in world.broker.queues[REQUESTS]}
    assert bodies == {world.b.sealed(sent)}
    assert 60 / (UNANSWERED.longest / 60) <= world.depth(REQUESTS) <= 14


def test_a_request_that_nobody_answers_expires(world, sent):
    world.clock.move(seconds=REQUEST_LIFETIME.total_seconds() + 1)
    world.b.work(2)
    assert world.b.state(sent) is State.EXPIRED


def test_an_answer_after_the_expiry_changes_nothing(world, sent):
    world.issuer.work()
    world.clock.move(seconds=REQUEST_LIFETIME.total_seconds() + 1)
    world.b.services.repetition.work()
    world.b.work(1)
    assert (world.b.state(sent), world.depth(REPLIES)) == (State.EXPIRED, 0)


def test_who_starts_again_first_takes_what_lies_in_its_queue(world, sent):
    world.issuer.work()
    world.clock.move(seconds=UNANSWERED.first + 1)
    world.b.build()
    world.b.services.repetition.work()
    world.b.work(1)
    assert (world.depth(REPLIES), world.depth(REQUESTS)) == (0, 0)
    assert world.b.state(sent) in {State.ISSUED, State.INSTALLED}


def test_a_held_request_is_repeated_rarely_in_case_the_final_answer_was_lost(world):
    key = world.b.begin(world.issuer.invite(B, approval=Approval.MANUAL))
    world.b.work(1)
    world.issuer.work()
    world.b.work(1)
    assert (world.b.state(key), world.depth(REQUESTS)) == (State.PENDING, 0)
    world.clock.move(seconds=UNANSWERED.first + 1)
    world.b.work(2)
    assert world.depth(REQUESTS) == 0
    world.clock.move(seconds=HELD.first)
    world.b.work(2)
    assert world.depth(REQUESTS) == 1
    for _ in range(6 * 24):
        world.clock.move(hours=1)
        world.b.work(2)
    days = 6 * 86_400 / HELD.longest
    assert days <= world.depth(REQUESTS) <= 4 / 3 * days + 8


# --- a confirmation that the broker confirmed and then lost


@pytest.fixture
def confirmed(world):
    """An enrollment that the requester has verified or has delivered, and whose confirmation is lost."""
    key = world.b.begin(world.issuer.invite(B), own_key=False)
    while world.b.state(key) is not State.DELIVERED:
        world.b.work(1)
        world.issuer.work()
    world.b.work(1)
    world.broker.queues[REQUESTS].clear()
    assert world.issuer.states() == [State.ISSUED]
    return key


def test_a_lost_confirmation_is_sent_again_in_the_same_bytes_until_it_is_acknowledged(world, confirmed):
    world.clock.move(seconds=UNACKNOWLEDGED.first)
    world.b.work(2)
    assert [held.body for held in world.broker.queues[REQUESTS]] == [world.b.sealed(confirmed, CONFIRMATION)]
    world.run()
    assert world.issuer.states() == [State.DELIVERED]
    world.clock.move(days=1)
    world.b.work(2)
    assert world.depth(REQUESTS) == 0


def test_a_requester_that_was_started_anew_still_sends_its_confirmation_again(world, confirmed):
    world.b.build()
    world.clock.move(hours=3)
    world.run()
    assert world.issuer.states() == [State.DELIVERED]


def test_a_confirmation_that_nobody_acknowledges_is_sent_again_more_and_more_rarely_while_it_is_good(world, confirmed):
    for _ in range(24 * 8):
        world.clock.move(hours=1)
        world.b.work(2)
    copies = world.depth(REQUESTS)
    days = CONFIRMATION_LIFETIME.total_seconds() / UNACKNOWLEDGED.longest
    assert days <= copies <= 4 / 3 * days + 8
    assert {held.body for held in world.broker.queues[REQUESTS]} == {world.b.sealed(confirmed, CONFIRMATION)}
    world.clock.move(days=3)
    world.b.work(2)
    assert world.depth(REQUESTS) == copies


def test_an_end_without_a_confirmation_sends_nothing_again(world, sent):
    world.clock.move(seconds=REQUEST_LIFETIME.total_seconds() + 1)
    world.b.work(2)
    assert world.b.state(sent) is State.EXPIRED
    waiting = world.depth(REQUESTS)
    world.clock.move(hours=1)
    world.b.work(2)
    assert world.depth(REQUESTS) == waiting
