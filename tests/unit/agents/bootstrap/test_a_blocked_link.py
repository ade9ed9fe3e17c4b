"""What an operator is told of a link that is up and over which nothing leaves."""

from datetime import timedelta

import pytest
from kit.clocks import HandClock

from agents.adapters.home import write_health
from agents.bootstrap.agent import Agent
from agents.bootstrap.following import follow
from agents.bootstrap.overview import condition, overview
from agents.bootstrap.setup import Setup, set_up
from agents.core.effects import OpenTransaction, TransactionKey, Unit
from agents.errors import TimedOutError
from protocol.names import Fingerprint, OrganisationName, TransactionId
from protocol.transaction import Role, State

KEY = TransactionKey(
    Role.REQUESTER, OrganisationName("client-c"), TransactionId("0195f1d4-8c00-7000-8000-000000000001")
)
UP = {"role": "requester", "issuer": "client-c", "connected": True, "blocked": None, "trouble": None, "concern": None}


@pytest.fixture
def agent(tmp_path):
    """An agent that waits for an answer, and whose daemon runs."""
    set_up(Setup(home=tmp_path / "home", name="client-b", title="Client B", endpoint="localhost:9"))
    daemon = Agent(tmp_path / "home")
    made = Agent(tmp_path / "home", clock=HandClock())
    now = made.clock.now()
    made.ledger.commit(
        [Unit((OpenTransaction(KEY, State.CREATED, Fingerprint.of(b""), now, now + timedelta(days=1)),))]
    )
    daemon.lock.acquire()
    yield made
    daemon.lock.release()
    made.ledger.close()


def says(agent, crew=None, **changes):
    """What the daemon said of its link and of its crew just now."""
    said = {"links": [UP | changes], "channel": None, "issuing_processes": crew}
    write_health(agent.home, {"at": agent.clock.now().isoformat(), **said})


@pytest.mark.parametrize(
    ("changes", "healthy"),
    [({}, True), ({"blocked": "low on memory"}, False), ({"trouble": "ledger"}, False), ({"connected": False}, False)],
)
def test_a_link_is_well_if_it_is_up_and_takes_messages(agent, changes, healthy):
    says(agent, **changes)
    assert overview(agent, 1)["healthy"] is healthy


@pytest.mark.parametrize(("troubles", "healthy"), [([], True), (["process 7 has not spoken yet"], False)])
def test_an_agent_is_well_if_all_its_issuing_processes_are(agent, troubles, healthy):
    says(agent, crew={"running": 2, "wanted": 2, "troubles": troubles})
    assert condition(agent)["healthy"] is healthy


@pytest.mark.parametrize(("seconds", "healthy"), [(14, True), (15, False)])
def test_a_daemon_that_says_nothing_for_long_is_not_well(agent, seconds, healthy):
    says(agent)
    agent.clock.move(seconds=seconds)
    seen = condition(agent)
    assert (seen["healthy"], seen["silent"]) == (healthy, not healthy)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"blocked": "low on memory"}, r"The broker blocks publishing \(low on memory\): its operator must make room"),
        ({"concern": "A message to client-c waits: its queue is full."}, "waits: its queue is full. But nothing"),
        ({"trouble": "the disk is full", "blocked": "low on memory"}, "the disk is full"),
    ],
)
def test_whoever_waits_for_an_enrollment_is_told_what_keeps_it(agent, changes, told):
    says(agent, **changes)
    with pytest.raises(TimedOutError, match=told):
        follow(agent, KEY, 0.0, lambda _: None)
