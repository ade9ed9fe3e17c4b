"""What became of messages, told to those who wait."""

import threading

import pytest

from agents.adapters.amqp.publication import Parcel, PendingPublication
from agents.ports import Outgoing, PublishOutcome

CONFIRMED, REFUSED, UNKNOWN = PublishOutcome.CONFIRMED, PublishOutcome.REFUSED, PublishOutcome.UNKNOWN


class HandClock:
    """Time that passes by hand."""

    time = 100.0

    def monotonic(self):
        return self.time


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def publication(clock):
    return PendingPublication(2, clock, clock.time + 10)


def test_outcomes_stand_in_the_order_of_the_messages(publication):
    publication.settle(1, REFUSED)
    publication.settle(0, CONFIRMED)
    assert publication.done()
    assert publication.outcomes() == (CONFIRMED, REFUSED)


def test_the_first_outcome_of_a_message_is_its_last(publication):
    publication.settle(0, PublishOutcome.RETURNED)
    publication.settle(0, CONFIRMED)
    assert not publication.done()
    publication.settle(1, CONFIRMED)
    assert publication.outcomes() == (PublishOutcome.RETURNED, CONFIRMED)


def test_after_the_deadline_the_rest_is_unknown_for_good(publication, clock):
    publication.settle(0, CONFIRMED)
    clock.time += 10
    assert publication.done()
    assert publication.outcomes() == (CONFIRMED, UNKNOWN)
    publication.settle(1, CONFIRMED)
    assert publication.outcomes() == (CONFIRMED, UNKNOWN)


def test_whoever_waits_wakes_with_the_last_outcome(publication):
    found = []
    waiting = threading.Thread(target=lambda: found.append(publication.outcomes()))
    waiting.start()
    publication.settle(0, CONFIRMED)
    publication.settle(1, CONFIRMED)
    waiting.join()
    assert found == [(CONFIRMED, CONFIRMED)]


def test_nothing_to_publish_is_done(clock):
    assert PendingPublication(0, clock, clock.time + 10).done()


def test_a_returned_message_is_known_by_route_and_body_until_it_is_settled(publication):
    parcel = Parcel(Outgoing("out.b", "requests.c", b"body", "type", "id"), publication, 0)
    assert parcel.is_returned("out.b", "requests.c", b"body")
    assert not parcel.is_returned("out.b", "requests.c", b"other")
    assert not parcel.is_returned("out.b", "requests.d", b"body")
    assert not parcel.is_returned("out.c", "requests.c", b"body")
    parcel.settle(PublishOutcome.RETURNED)
    assert not parcel.is_returned("out.b", "requests.c", b"body")
