"""Both services together: what one sends the other understands."""

from kit.envelopes import B, C

from protocol.topology import dead_letter_queue, reply_queue, request_queue
from protocol.transaction import State


def test_an_enrollment_is_verified_on_both_sides(world):
    with world.channel():
        key = world.b.begin(world.issuer.invite(B))
        world.run()
    assert (world.b.states(), world.issuer.states()) == ([State.VERIFIED], [State.CONFIRMED])
    assert world.b.current == world.b.record(key).serial
    assert not world.b.log.faults() + world.issuer.log.faults()
    assert [world.depth(queue) for queue in (request_queue(C), reply_queue(B))] == [0, 0]
    assert [world.depth(dead_letter_queue(queue)) for queue in (request_queue(C), reply_queue(B))] == [0, 0]
    assert (world.issuer.ledger.outbox(C, 10), world.b.ledger.outbox(C, 10)) == ((), ())
