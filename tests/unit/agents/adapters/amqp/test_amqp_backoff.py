"""When to try again."""

from agents.adapters.amqp.backoff import Backoff


def ceilings(first, longest, count):
    """The largest possible delays: with full jitter a delay is anything up to these."""
    backoff = Backoff(first, longest)
    backoff._uniform = lambda _, ceiling: ceiling
    return [backoff.next() for _ in range(count)]


def test_the_ceiling_doubles_up_to_the_longest():
    assert ceilings(0.1, 1.0, 6) == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_it_stays_there_for_ever():
    assert ceilings(0.1, 30.0, 5000)[-1] == 30.0


def test_delays_are_spread_from_zero_to_the_ceiling():
    backoff = Backoff(1.0, 1.0)
    delays = [backoff.next() for _ in range(500)]
    assert all(0 <= delay <= 1 for delay in delays)
    assert min(delays) < 0.1
    assert max(delays) > 0.9


def test_after_a_success_it_begins_small_again():
    backoff = Backoff(0.1, 30.0)
    for _ in range(10):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= 0.1
    assert backoff.longest() == 30.0
