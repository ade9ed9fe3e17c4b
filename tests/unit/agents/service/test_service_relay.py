"""What the broker does not take: kept, tried again, and told to whoever waits, with the true reason."""

from datetime import UTC, datetime

import pytest
from kit.envelopes import B, C

from agents.ports import LinkHealth, PublishOutcome
from agents.service.relay import BACKOFF, reason
from agents.service.retries import FORGOTTEN_AFTER
from protocol.topology import out_exchange, reply_queue, request_queue
from protocol.transaction import State

REPLIES, REQUESTS = reply_queue(B), request_queue(C)


def unbind(world):
    return world.broker.routes.pop((out_exchange(B), REQUESTS))


def fill(world):
    world.broker.full.add(REQUESTS)


def forbid(world):
    world.broker.exchanges.remove(out_exchange(B))


def swallow(world):
    world.broker.swallow_confirms(1)


SPELLS = {
    unbind: "no queue is bound for it",
    fill: "it is full, because",
    forbid: "the broker refused it",
    swallow: "did not confirm it",
}


@pytest.mark.parametrize(("spell", "why"), SPELLS.items())
def test_why_a_request_does_not_leave_is_a_concern_and_in_the_log(world, created, spell, why):
    spell(world)
    world.b.work(1)
    assert world.b.state(created) is State.CREATED
    assert why in world.b.log.reasons("not published")[0]
    assert why in world.b.services.concern()
    assert "A message to client-c waits" in world.b.services.concern()


def test_why_a_reply_does_not_leave_is_a_concern_of_the_issuer_until_it_has_left(world, created):
    queue = world.broker.routes.pop((out_exchange(C), REPLIES))
    world.send(world.b.sealed(created))
    world.issuer.work()
    world.issuer.tend()
    assert "A message to client-b waits: no queue is bound" in world.issuer.relay.concern()
    world.broker.routes[out_exchange(C), REPLIES] = queue
    world.issuer.tend(seconds=BACKOFF.longest)
    assert world.issuer.relay.concern() is None


def test_the_next_confirm_ends_the_concern(world, created):
    fill(world)
    world.b.work(1)
    world.broker.full.clear()
    assert world.b.services.concern()
    world.clock.move(seconds=2)
    world.b.work(1)
    assert world.b.state(created) is State.SENT
    assert world.b.services.concern() is None


def test_a_message_that_is_no_longer_tried_is_no_concern(world, created):
    fill(world)
    world.b.work(1)
    world.clock.move(seconds=FORGOTTEN_AFTER + BACKOFF.longest)
    assert world.b.services.concern() is None


def test_many_that_wait_for_one_reason_are_one_line(world):
    world.b.begin(world.issuer.invite(B))
    for _ in range(4):
        world.b.begin(None)
    fill(world)
    world.b.work(1)
    ((_, _, fields),) = [line for line in world.b.log.lines if line[1] == "not published"]
    assert fields["count"] == 5
    assert 0 < fields["again_in_seconds"] <= BACKOFF.first


# --- an alarm of the broker


def test_while_the_broker_blocks_nothing_is_published_and_answers_are_taken(world, created, monkeypatch):
    world.b.work(1)
    world.issuer.work()
    later = world.b.begin(None)
    world.broker.block("low on memory")
    with monkeypatch.context() as blocked:
        blocked.delattr(type(world.b.bus), "publish")
        world.b.work(1)
    assert world.b.state(created) in (State.ISSUED, State.INSTALLED)
    assert (world.b.state(later), world.b.log.reasons("not published")) == (State.CREATED, [])
    world.broker.block(None)
    world.b.work(1)
    assert world.b.state(later) is State.SENT


def test_an_alarm_that_comes_while_a_message_is_on_its_way_is_named(world, created, monkeypatch):
    publish = world.b.bus.publish

    def alarmed(messages):
        world.broker.block("low on disk")
        return publish(messages)

    monkeypatch.setattr(world.b.bus, "publish", alarmed)
    world.b.work(1)
    assert world.b.log.reasons("not published") == ["the broker blocks publishing: low on disk"]


def health(**changes):
    return LinkHealth(**{"connected": True, "blocked": None, "last_error": None, "since": datetime.now(UTC)} | changes)


def test_what_the_broker_said_of_a_refusal_is_passed_on():
    said = "The broker said 403 ACCESS_REFUSED."
    assert reason(PublishOutcome.REFUSED, health(last_error=said)) == f"the broker refused it: {said}"
    assert said not in reason(PublishOutcome.NACKED, health(last_error=said))


# --- the way is free again


def put_off(world, spell):
    """Three requests that were tried so often that each waits long, and then one new."""
    world.b.begin(world.issuer.invite(B))
    for _ in range(2):
        world.b.begin(None)
    spell(world)
    for _ in range(8):
        world.b.work(1)
        world.clock.move(seconds=BACKOFF.longest)
    world.b.work(1)
    world.b.begin(None)


def test_a_confirm_ends_the_waiting_of_all_for_that_queue(world):
    put_off(world, fill)
    world.broker.full.clear()
    world.b.work(2)
    assert set(world.b.states()) == {State.SENT}


def test_what_the_broker_refuses_for_what_it_is_waits_on(world):
    put_off(world, forbid)
    world.broker.exchanges.add(out_exchange(B))
    world.b.work(2)
    assert sorted(world.b.states()) == [State.CREATED] * 3 + [State.SENT]
    world.clock.move(seconds=BACKOFF.longest)
    world.b.work(1)
    assert set(world.b.states()) == {State.SENT}
