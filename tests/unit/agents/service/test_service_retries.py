"""Waits that double, and what waits for them."""

import pytest

from agents.service.retries import FORGOTTEN_AFTER, JITTER, Doubling, Retries

WAITS = Doubling(1.0, 30.0)
KEYS = [f"transaction {number}" for number in range(200)]


def test_waits_double_up_to_the_longest_and_are_shortened_by_a_share_at_most():
    for number, whole in enumerate([1, 2, 4, 8, 16, 30, 30]):
        waits = [WAITS.wait(number, key) for key in KEYS]
        assert whole * (1 - JITTER) <= min(waits) < max(waits) <= whole


def test_the_waits_of_one_key_are_always_the_same_and_those_of_many_are_spread():
    assert WAITS.wait(3, KEYS[0]) == WAITS.wait(3, KEYS[0])
    assert len({WAITS.wait(3, key) for key in KEYS}) == len(KEYS)


def test_the_wait_after_any_number_of_failures_is_the_longest():
    assert WAITS.wait(10**6, "key") == WAITS.wait(10, "key")


@pytest.mark.parametrize("waits", [WAITS, Doubling(7.0, 7.0), Doubling(600.0, 43_200.0)])
def test_as_many_waits_have_passed_as_end_within_the_time(waits):
    ends = [sum(waits.wait(number, "key") for number in range(many)) for many in range(1, 40)]
    for many, end in enumerate(ends, start=1):
        assert (waits.passed(end - 0.01, "key"), waits.passed(end + 0.01, "key")) == (many - 1, many)


def test_no_wait_has_passed_before_the_time_begins():
    assert WAITS.passed(-100.0, "key") == 0


def test_what_was_put_off_is_due_after_its_wait_and_waits_longer_each_time():
    retries = Retries(WAITS)
    assert retries.is_due("key", 0.0)
    first = retries.put_off("key", 0.0, "full")
    assert (retries.is_due("key", first - 0.01), retries.is_due("key", first)) == (False, True)
    assert retries.put_off("key", first, "full") == 2 * first


def test_what_is_settled_begins_anew():
    retries = Retries(WAITS)
    first = retries.put_off("key", 0.0, "full")
    retries.settle("key")
    retries.settle("another")
    assert retries.is_due("key", 0.0)
    assert retries.put_off("key", 0.0, "full") == first


def test_why_things_wait_is_known_until_they_are_settled_in_another_way():
    retries = Retries(WAITS)
    due = retries.put_off("key", 0.0, "full")
    assert retries.whys(due + FORGOTTEN_AFTER - 0.01) == ("full",)
    assert retries.whys(due + FORGOTTEN_AFTER) == ()
    retries.keep(due + FORGOTTEN_AFTER)
    assert retries.put_off("key", 0.0, "full") == due


def test_only_what_is_wanted_is_kept():
    retries = Retries(WAITS)
    for key, why in (("a", "full"), ("b", "full"), ("c", "refused")):
        retries.put_off(key, 0.0, why)
    retries.keep(0.0, lambda key, why: key != "b" and why == "full")
    assert [retries.is_due(key, 0.0) for key in "abc"] == [False, True, True]
