"""The agent at work: links as the ledger wants them, and the truth about each."""

import json
import threading
from dataclasses import replace

import pytest
from kit.envelopes import B, C, D
from kit.patience import PATIENCE
from kit.services import TestLog

from agents.core.effects import RecordPartner, Unit
from agents.errors import ConfigurationError
from agents.ports import Member
from agents.service import daemon as module
from agents.service.daemon import Daemon
from agents.service.supervision import Link, Worker
from protocol.topology import reply_queue
from protocol.transaction import Role


class Listener:
    """A channel that only says whether it is open."""

    def __init__(self, world, error=None):
        self.world, self.error, self.open = world, error, False

    def start(self):
        if self.error:
            raise self.error
        self.open = True
        return self.world.endpoint

    def close(self, grace):
        self.open = False


class Running:
    """A daemon of B on a thread; tests wait for what it says."""

    def __init__(self, world, **parts):
        self.world, self.log, self.listener = world, TestLog(), Listener(world)
        self.reports, self.changed = [], threading.Condition()
        self.opened, self.broken = [], {}
        self.stop = threading.Event()
        settings = {"listener": self.listener, "report": self.note, "crew": None, **parts}
        self.daemon = Daemon(
            replace(world.b.place, log=self.log),
            self.open_link,
            settings["listener"],
            settings["crew"],
            settings["report"],
        )
        self.thread = threading.Thread(target=self.daemon.run, args=(self.stop,))

    def open_link(self, role, issuer):
        if issuer in self.broken:
            raise ConfigurationError(self.broken[issuer])
        bus = self.world.broker.bus(reply_queue(B))
        link = Link(bus, Worker(f"{role.value} {issuer}", lambda _: self.stop.wait(0.005), bus, self.log))
        self.opened.append(link)
        return link

    def note(self, health):
        with self.changed:
            self.reports.append(json.loads(json.dumps(health)))
            self.changed.notify_all()

    def says(self, holds):
        """Wait for a report of which this holds."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.reports and holds(self.reports[-1]), PATIENCE), self.reports[-1:]
            return self.reports[-1]


@pytest.fixture
def start(world, monkeypatch):
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.01)
    started = []

    def run(**parts):
        running = Running(world, **parts)
        started.append(running)
        running.thread.start()
        return running

    yield run
    for running in started:
        running.stop.set()
        running.thread.join(PATIENCE)
        assert not running.thread.is_alive()


def know(world, name, **facts):
    world.b.ledger.commit([Unit((RecordPartner(name, world.clock.now(), **facts),))])


def links(report):
    return {(link["role"], link["issuer"]): link["trouble"] for link in report["links"]}


def test_a_new_agent_has_its_channel_and_no_links(world, start):
    report = start().says(lambda _: True)
    assert (report["links"], report["channel"]) == ([], "localhost:1")


def test_links_appear_when_the_ledger_says_so(world, start):
    running = start()
    running.says(lambda report: report["links"] == [])
    know(world, C, broker="amqp://broker.example")
    running.says(lambda report: links(report) == {("requester", "client-c"): None})
    know(world, D, agreed=True)
    report = running.says(lambda report: len(report["links"]) == 2)
    assert links(report) == {("requester", "client-c"): None, (Role.ISSUER.value, "client-b"): None}
    assert all(link["connected"] for link in report["links"])


def test_a_link_that_cannot_be_opened_is_said_once_and_tried_until_it_can(world, start):
    running = start()
    running.broken[C] = "no broker is configured for client-c"
    know(world, C, broker="amqp://broker.example")
    know(world, D, broker="amqp://broker.example")
    wanted = {("requester", "client-c"): running.broken[C], ("requester", "client-d"): None}
    running.says(lambda report: links(report) == wanted)
    assert running.log.reasons("link not opened") == [running.broken[C]]
    running.broken.clear()
    running.says(lambda report: set(links(report).values()) == {None})


def test_a_broker_that_is_down_shows(world, start):
    know(world, C, broker="amqp://broker.example")
    running = start()
    running.says(lambda report: report["links"] and report["links"][0]["connected"])
    world.broker.go_down()
    running.says(lambda report: not report["links"][0]["connected"])
    world.broker.come_up()
    running.says(lambda report: report["links"][0]["connected"])


class Crew:
    """Three processes: one speaks for itself, what the second should say another said before it, the third cannot be
    started."""

    wanted = 3

    def __init__(self, world):
        said = {"at": world.clock.now().isoformat(), "links": [{"connected": False, "last_error": "no route"}]}
        self._members = (Member(7, said | {"pid": 7}), Member(8, said | {"pid": 6}))

    def tend(self):
        raise OSError("too many processes")

    def members(self):
        return self._members

    def stop(self, grace):
        self._members = ()


def test_how_the_issuing_processes_fare_is_said_once_there_is_somebody_to_issue_for(world, start):
    running = start(crew=Crew(world))
    assert running.says(lambda report: report["links"] == [])["issuing_processes"] is None
    know(world, C, agreed=True)
    said = running.says(lambda report: report["issuing_processes"])["issuing_processes"]
    assert (said["running"], said["wanted"]) == (3, 4)
    absent, unreached, unheard = said["troubles"]
    assert absent.startswith("1 of 3 do not run")
    assert (unreached, unheard) == ("process 7 is not connected: no route", "process 8 has not spoken yet")
    assert "too many processes" in running.log.reasons("no more issuing processes")


def test_a_ledger_that_cannot_be_read_ends_nothing(world, start):
    know(world, C, broker="amqp://broker.example")
    world.b.ledger.break_at("partners")
    start().says(lambda report: links(report) == {("requester", "client-c"): None})


def test_a_health_report_that_cannot_be_written_ends_nothing(world, start):
    written = threading.Event()
    fails = iter([OSError("no space left"), None])

    def report(_health):
        if error := next(fails, None):
            raise error
        written.set()

    running = start(report=report)
    assert written.wait(PATIENCE)
    assert running.log.reasons("health not written") == ["no space left"]


def test_a_daemon_that_is_told_to_stop_ends_its_workers_and_closes_everything(world, start):
    know(world, C, broker="amqp://broker.example")
    running = start()
    running.says(lambda report: report["links"])
    running.stop.set()
    running.thread.join(PATIENCE)
    (link,) = running.opened
    assert link.worker.join(0.0)
    assert not link.bus.health().connected
    assert not running.listener.open


def test_links_are_closed_all_at_once_for_each_may_take_its_time(world, start):
    running = start()
    know(world, C, broker="amqp://broker.example")
    know(world, D, broker="amqp://broker.example")
    running.says(lambda report: len(report["links"]) == 2)
    both, together = threading.Barrier(2), []
    for link in running.opened:
        link.bus.close = lambda _: together.append(both.wait(PATIENCE))
    running.stop.set()
    running.thread.join()
    assert sorted(together) == [0, 1]


def test_a_channel_that_cannot_be_opened_ends_the_daemon_before_anything_else(world):
    running = Running(world, listener=Listener(world, ConfigurationError("the port is in use")))
    with pytest.raises(ConfigurationError, match="in use"):
        running.daemon.run(threading.Event())
    assert running.opened == []
