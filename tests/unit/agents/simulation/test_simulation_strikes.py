"""Strikes: each does what it says to what it hits, one at a time, and stops when told."""

import threading

import pytest
from kit.patience import PATIENCE

from agents.simulation.parameters import StrikeKind
from agents.simulation.plan import Strike
from agents.simulation.strikes import Striker, Targets


class Recorder:
    """Stands for a process, a broker or a link: remembers what was done to it."""

    def __init__(self, name):
        self.name, self.done, self.changed = name, [], threading.Event()

    def __getattr__(self, verb):
        def do():
            self.done.append(verb)
            self.changed.set()

        return do


class Broken(Recorder):
    def kill(self):
        raise OSError("no such process")


def targets(issuer=None):
    return Targets(
        Recorder("broker"),
        [issuer or Recorder("issuer-1")],
        [Recorder("requesters 1")],
        [("first", Recorder("first")), ("second", Recorder("second"))],
    )


def strike_all(hit, *strikes):
    told = []
    striker = Striker(
        hit,
        strikes,
        lambda strike, name: told.append((name, "begins")),
        lambda strike, name, seconds: told.append((name, "ends")),
    )
    striker.start()
    striker.join()
    return striker, told


def at_once(kind, target=0):
    return Strike(0.0, kind, 0.01, target)


@pytest.mark.parametrize(
    ("kind", "target", "done"),
    [
        (StrikeKind.KILL_ISSUER, lambda hit: hit.issuers[0], ["kill", "start"]),
        (StrikeKind.KILL_REQUESTERS, lambda hit: hit.workers[0], ["kill", "start"]),
        (StrikeKind.KILL_BROKER, lambda hit: hit.broker, ["kill", "start"]),
        (StrikeKind.RESTART_BROKER, lambda hit: hit.broker, ["restart"]),
        (StrikeKind.RESET, lambda hit: hit.links[0][1], ["reset"]),
        (StrikeKind.FREEZE, lambda hit: hit.links[0][1], ["freeze", "thaw"]),
        (StrikeKind.REFUSE, lambda hit: hit.links[0][1], ["refuse", "admit"]),
    ],
)
def test_each_kind_hits_its_target_and_mends_it(kind, target, done):
    hit = targets()
    _, told = strike_all(hit, at_once(kind))
    assert target(hit).done == done
    assert [what for _, what in told] == ["begins", "ends"]


def test_the_number_chooses_the_target():
    hit = targets()
    strike_all(hit, at_once(StrikeKind.RESET, target=3))
    assert (hit.links[0][1].done, hit.links[1][1].done) == ([], ["reset"])


def test_a_target_is_struck_by_one_at_a_time():
    hit = targets()
    strike_all(hit, *[at_once(StrikeKind.FREEZE)] * 5)
    assert hit.links[0][1].done == ["freeze", "thaw"] * 5


def test_a_strike_that_fails_is_told_and_stops_no_other():
    hit = targets(issuer=Broken("issuer-1"))
    striker, _ = strike_all(hit, at_once(StrikeKind.KILL_ISSUER), at_once(StrikeKind.RESET))
    assert striker.faults == ["issuer killed (kill -9) on issuer-1: no such process"]
    assert hit.links[0][1].done == ["reset"]


def test_what_was_killed_is_not_started_after_the_end():
    hit = targets()
    striker = Striker(hit, [Strike(0.0, StrikeKind.KILL_ISSUER, 600.0, 0)], lambda *_: None, lambda *_: None)
    striker.start()
    assert hit.issuers[0].changed.wait(PATIENCE)
    striker.stop()
    assert hit.issuers[0].done == ["kill"]


def test_nothing_strikes_after_the_end():
    hit = targets()
    striker = Striker(hit, [Strike(600.0, StrikeKind.RESET, 0.0, 0)], lambda *_: None, lambda *_: None)
    striker.start()
    striker.stop()
    assert hit.links[0][1].done == []


def test_a_frozen_link_is_thawed_at_the_end():
    hit = targets()
    striker = Striker(hit, [Strike(0.0, StrikeKind.FREEZE, 600.0, 0)], lambda *_: None, lambda *_: None)
    striker.start()
    assert hit.links[0][1].changed.wait(PATIENCE)
    striker.stop()
    assert hit.links[0][1].done == ["freeze", "thaw"]


class SlowBroker(Recorder):
    """Comes back only by being killed."""

    def __init__(self):
        super().__init__("broker")
        self.killed = threading.Event()

    def restart(self):
        self.changed.set()
        assert self.killed.wait(60)

    def kill(self):
        self.killed.set()


def test_a_broker_that_is_being_restarted_is_not_waited_for_at_the_end():
    hit = targets()
    hit.broker = SlowBroker()
    striker = Striker(hit, [Strike(0.0, StrikeKind.RESTART_BROKER, 0.0, 0)], lambda *_: None, lambda *_: None)
    striker.start()
    assert hit.broker.changed.wait(10)
    striker.stop()
    assert hit.broker.killed.is_set()
    assert striker.faults == []
