"""Two organisations on disk, without a broker: the issuer, and a requester with its invitation."""

import os

import pytest

from agents.bootstrap.agent import Agent
from agents.bootstrap.agreement import agree
from agents.bootstrap.setup import BrokerAnswers, Setup, set_up


@pytest.fixture
def homes(tmp_path):
    """The directory in which client-b and client-c have their homes, and client-b its invitation."""
    os.close(os.open(tmp_path / "password", os.O_CREAT | os.O_WRONLY, 0o600))
    broker = BrokerAnswers("amqp://broker.example", password_file=tmp_path / "password")
    for name in ("client-b", "client-c"):
        set_up(Setup(home=tmp_path / name, name=name, title=name, broker=broker, endpoint="localhost:9"))
    issuer = Agent(tmp_path / "client-c")
    agree(issuer, "client-b", ("**.client-b.example",), "1h", manual=False, out=tmp_path / "invitation")
    issuer.ledger.close()
    return tmp_path


@pytest.fixture
def requester(homes):
    """An agent that was invited."""
    agent = Agent(homes / "client-b")
    yield agent
    agent.ledger.close()


@pytest.fixture
def issuer(homes):
    """The agent that invited it."""
    agent = Agent(homes / "client-c")
    yield agent
    agent.ledger.close()
