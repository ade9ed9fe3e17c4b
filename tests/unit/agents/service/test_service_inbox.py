"""What is said of messages that nothing can be done with."""

import gc

from kit.envelopes import C

from agents.service.inbox import LINES_A_MINUTE, MINUTE, Unusable
from protocol.topology import request_queue


def send_garbage(world, count):
    """One message after the other, so that the bound is not one of a batch."""
    for number in range(count):
        world.send(b"garbage %d" % number)
        world.issuer.work(1)


def said(world, event):
    return [fields for _, line, fields in world.issuer.log.lines if line == event]


def test_garbage_writes_a_bounded_number_of_lines_and_is_set_aside_all_the_same(world):
    send_garbage(world, 3 * LINES_A_MINUTE)
    assert len(said(world, "message unusable")) == LINES_A_MINUTE
    assert len(world.dead(request_queue(C))) == world.issuer.quarantined() == 3 * LINES_A_MINUTE


def test_what_was_not_said_is_counted_when_the_minute_is_over(world):
    send_garbage(world, LINES_A_MINUTE + 5)
    assert said(world, "more messages unusable") == []
    world.clock.move(seconds=MINUTE)
    send_garbage(world, 1)
    assert said(world, "more messages unusable") == [{"count": 5, "said": LINES_A_MINUTE}]
    assert len(said(world, "message unusable")) == LINES_A_MINUTE + 1


def test_what_was_not_said_is_counted_although_nothing_more_arrives(world):
    send_garbage(world, LINES_A_MINUTE + 5)
    world.clock.move(seconds=MINUTE)
    world.issuer.work(1)
    assert said(world, "more messages unusable") == [{"count": 5, "said": LINES_A_MINUTE}]


def test_few_unusable_messages_are_all_said(world):
    for _ in range(3):
        send_garbage(world, LINES_A_MINUTE)
        world.clock.move(seconds=MINUTE)
    assert len(said(world, "message unusable")) == 3 * LINES_A_MINUTE
    assert said(world, "more messages unusable") == []


def test_what_has_been_set_aside_does_not_stay_in_memory(world):
    """A flood of large messages is dealt with for minutes before the collector looks for circles among old objects."""
    gc.collect()
    gc.disable()
    try:
        send_garbage(world, 3)
        assert not [one for one in gc.get_objects() if isinstance(one, Unusable)]
    finally:
        gc.enable()
