"""An invitation comes from another organisation: it may not decide who receives our broker password."""

import os

import pytest

from agents.bootstrap.agent import Agent
from agents.bootstrap.setup import BrokerAnswers, Setup, set_up
from agents.errors import ConfigurationError
from protocol.names import OrganisationName

C = OrganisationName("client-c")


@pytest.fixture
def agent(tmp_path):
    password = tmp_path / "password"
    os.close(os.open(password, os.O_CREAT | os.O_WRONLY, 0o600))
    broker = BrokerAnswers("amqp://Broker.example:5680", "client-b", password)
    set_up(Setup(home=tmp_path / "b", name="client-b", title="Client B", broker=broker))
    opened = Agent(tmp_path / "b")
    yield opened
    opened.ledger.close()


def test_the_invitations_virtual_host_on_our_own_broker_is_used(agent):
    url = "amqp://broker.example:5680/enroll.client-c"
    assert agent.access(C, url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "amqp://elsewhere.example:5680/enroll.client-c",
        "amqp://broker.example:5681/enroll.client-c",
        "amqps://broker.example:5680/enroll.client-c",
    ],
)
def test_our_login_goes_to_no_other_broker(agent, url):
    with pytest.raises(ConfigurationError, match=r"our login is for that one.*\[brokers\.client-c\]"):
        agent.access(C, url)


def test_a_broker_without_a_login_is_told_with_the_file_and_the_keys_to_set(tmp_path):
    home = tmp_path / "b"
    set_up(Setup(home=home, name="client-b", title="Client B", broker=BrokerAnswers("amqp://broker.example")))
    with (home / "agent.toml").open("a") as file:
        file.write('\n[brokers.client-c]\nurl = "amqp://theirs.example"\n')
    agent = Agent(home)
    for issuer, section in ((C, "brokers.client-c"), (OrganisationName("client-d"), "broker")):
        with pytest.raises(ConfigurationError, match="needs a login") as caught:
            agent.access(issuer)
        for words in (f"[{section}] in {home / 'agent.toml'}", "add password_file", "certificate_file and key_file"):
            assert words in str(caught.value)
    agent.ledger.close()


def test_a_section_for_the_issuer_counts_more_than_its_invitation(agent):
    with (agent.home / "agent.toml").open("a") as file:
        file.write('\n[brokers.client-c]\nurl = "amqp://theirs.example"\npassword_file = "other"\n')
    reopened = Agent(agent.home)
    assert reopened.access(C, "amqp://elsewhere.example/enroll.client-c").url == "amqp://theirs.example/enroll.client-c"
    reopened.ledger.close()
