"""What a link says of itself while it comes and goes: each change once, with what is done about it."""

from datetime import timedelta

import pytest
from kit.clocks import HandClock
from kit.services import TestLog
from pika.exceptions import ConnectionClosedByBroker

from agents.adapters.amqp import BrokerAccess, Timing
from agents.adapters.amqp.link import Link, LinkSetting
from agents.adapters.clock import SystemClock
from protocol.broker import BrokerAddress

ACCESS = BrokerAccess(BrokerAddress("amqp://broker.example"), "enroll.client-c", "client-b", lambda: "secret")
AWAY = ConnectionRefusedError(111, "Connection refused")
FULL = ConnectionClosedByBroker(320, "CONNECTION_FORCED")
UP = None


class ScriptedLink(Link):
    """A link to a broker whose conduct at each attempt is given beforehand; after the last the link is closed."""

    def __init__(self, script, log, clock=None):
        timing = Timing(first_retry=0.0, longest_retry=0.0)
        super().__init__(LinkSetting(ACCESS, "test", timing, clock or SystemClock(), log), "publish")
        self._script = list(script)

    def _connect_and_serve(self):
        if not self._script:
            self._closing.set()
            return
        conduct = self._script.pop(0)
        if conduct is UP:
            self._ready()
        self._failure = conduct or FULL

    def _on_channel(self, channel):
        raise NotImplementedError

    def _on_lost(self):
        pass


def told(*script):
    """Its log, from the start until it is closed."""
    log = TestLog()
    link = ScriptedLink(script, log)
    link._run()
    assert log.faults() == []
    return [(level, event, fields) for level, event, fields in log.lines]


def texts(lines):
    return [fields["text"].split(".")[0] if fields else event for _, event, fields in lines]


def test_a_broker_that_stays_away_is_reported_once_with_the_next_try():
    ((level, event, fields),) = told(AWAY, AWAY, AWAY, AWAY)
    assert (level, event) == ("warning", "broker link down")
    assert "Nothing listens at amqp://broker.example" in fields["text"]
    assert (fields["next_try_in_seconds"], fields["then_every_seconds_at_most"]) == (0.0, 0.0)


def test_every_change_is_reported():
    lines = told(AWAY, AWAY, FULL, FULL, AWAY, UP, UP, AWAY)
    away, full = "Nothing listens at amqp://broker", "The broker at amqp://broker"
    up = "broker link up"
    assert texts(lines) == [away, full, away, up, full, up, full, away]


def test_an_error_has_the_time_at_which_it_came_up():
    clock = HandClock()
    link = ScriptedLink([AWAY], TestLog(), clock)
    before = link.health()
    clock.move(seconds=7)
    link._session()
    clock.move(seconds=7)
    assert (before.last_error_at, link.health().last_error_at) == (None, clock.start + timedelta(seconds=7))


@pytest.mark.parametrize(("error", "level"), [(AWAY, "warning"), (PermissionError(13, "no", "/password"), "error")])
def test_what_only_a_person_can_mend_is_an_error(error, level):
    assert [line[0] for line in told(error, error)] == [level]
