"""Threads that go on whatever happens in a round, and say how they fare."""

import threading

import pytest
from kit.patience import PATIENCE
from kit.services import TestLog

from agents.errors import AgentError, LedgerUnavailableError
from agents.service import supervision
from agents.service.isolation import Fault, alone
from agents.service.supervision import Worker


class Rounds:
    """Work that fails as told, round by round, and then goes well."""

    def __init__(self, *faults):
        self.faults = list(faults)
        self.count = 0
        self.good = threading.Event()

    def __call__(self, timeout):
        self.count += 1
        if self.faults:
            raise self.faults.pop(0)
        self.good.set()
        threading.Event().wait(0.001)


@pytest.fixture
def run(world, monkeypatch):
    """Start a worker for the rounds; it has ended when the test ends."""
    monkeypatch.setattr(supervision, "PAUSE_SECONDS", 0.01)
    workers = []

    def start(rounds):
        log = TestLog()
        worker = Worker("requester client-c", rounds, world.b.bus, log)
        workers.append(worker)
        worker.start()
        return worker, log

    yield start
    for worker in workers:
        worker.stop()
        assert worker.join(PATIENCE)


def test_a_worker_goes_on_after_every_kind_of_fault(run):
    rounds = Rounds(LedgerUnavailableError("the disk is full"), TypeError("a fault"), AgentError("other"))
    _, log = run(rounds)
    assert rounds.good.wait(PATIENCE)
    assert rounds.count >= 4
    assert log.reasons("pausing") == ["the disk is full", "TypeError: a fault in the program", "other"]
    assert [fields["worker"] for fields in log.faults()] == ["requester client-c"]


def test_a_worker_that_is_in_trouble_says_so_and_gives_its_messages_back(world, run, monkeypatch):
    monkeypatch.setattr(supervision, "PAUSE_SECONDS", 60.0)
    world.answer(b"message")
    world.b.bus.receive(1, 0.0)
    paused = threading.Event()
    suspend = world.b.bus.suspend
    monkeypatch.setattr(world.b.bus, "suspend", lambda seconds: (suspend(seconds), paused.set()))
    worker, _ = run(Rounds(LedgerUnavailableError("the disk is full")))
    assert paused.wait(PATIENCE)
    assert worker.trouble == "the disk is full"
    assert world.depth("replies.client-b") == 1


def test_a_worker_that_is_well_again_says_so(run):
    rounds = Rounds(AgentError("a fault"))
    worker, _ = run(rounds)
    assert rounds.good.wait(PATIENCE)
    worker.stop()
    assert worker.join(PATIENCE)
    assert worker.trouble is None


def test_a_worker_that_is_told_to_stop_finishes_its_round_first(run):
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def long(_timeout):
        entered.set()
        leave.wait(PATIENCE)
        left.set()

    worker, _ = run(long)
    assert entered.wait(PATIENCE)
    worker.stop()
    assert not worker.join(0.01)
    leave.set()
    assert worker.join(PATIENCE)
    assert left.is_set()


# --- each item alone


def test_a_step_that_goes_well_gives_its_result():
    assert alone(lambda: 7, TestLog(), "counting") == 7


def test_a_fault_of_the_program_is_a_value_and_is_logged():
    log = TestLog()
    fault = alone(lambda: 1 / 0, log, "counting", transaction="x")
    assert fault == Fault("a fault in this program while counting (ZeroDivisionError); its log has the details")
    assert log.faults() == [{"doing": "counting", "fix": "report this with the log", "transaction": "x"}]


@pytest.mark.parametrize("error", [LedgerUnavailableError("down"), KeyboardInterrupt(), SystemExit()])
def test_what_concerns_every_item_passes(error):
    def step():
        raise error

    with pytest.raises(type(error)):
        alone(step, TestLog(), "counting")
