"""Which keys stay on disk while enrollments begin and end."""

import os

import pytest

from agents.bootstrap.agent import Agent
from agents.bootstrap.agreement import agree
from agents.bootstrap.enrollment import Ask, read_invitation, start
from agents.bootstrap.setup import BrokerAnswers, Setup, set_up
from agents.core.requester import unit_for_move
from protocol.csr import NameKind, SubjectName
from protocol.names import OrganisationName, TransactionId
from protocol.transaction import Event, State

C = OrganisationName("client-c")
ASK = Ask(issuer=None, names=(SubjectName(NameKind.DNS, "api.client-b.example"),))


@pytest.fixture
def requester(tmp_path):
    """An agent that was invited."""
    os.close(os.open(tmp_path / "password", os.O_CREAT | os.O_WRONLY, 0o600))
    broker = BrokerAnswers("amqp://broker.example", password_file=tmp_path / "password")
    for name in ("client-b", "client-c"):
        set_up(Setup(home=tmp_path / name, name=name, title=name, broker=broker, endpoint="localhost:9"))
    requester, issuer = Agent(tmp_path / "client-b"), Agent(tmp_path / "client-c")
    agree(issuer, requester.name, ("**.client-b.example",), "1h", manual=False, out=tmp_path / "invitation")
    issuer.ledger.close()
    yield requester
    requester.ledger.close()


@pytest.mark.parametrize("event", [Event.DECLINED, Event.TIMED_OUT])
def test_the_key_of_an_enrollment_that_came_to_nothing_leaves_with_the_next_one(requester, event):
    invitation = read_invitation(requester.home.parent / "invitation", None)
    ended, open_still = start(requester, ASK, invitation), start(requester, ASK, invitation)
    unknown = TransactionId("0195f1d4-8c00-7000-8000-000000000001")
    requester.credentials.new_key(C, unknown)
    requester.ledger.commit([unit_for_move(ended, State.CREATED, event, requester.clock.now())])
    assert set(requester.credentials.waiting_keys(C)) == {ended.id, open_still.id, unknown}
    latest = start(requester, ASK, None)
    assert set(requester.credentials.waiting_keys(C)) == {open_still.id, unknown, latest.id}
