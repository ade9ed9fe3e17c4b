"""An invitation comes from another organisation: it may not decide who receives our broker password."""

import os
from pathlib import Path

import pytest
from kit.pki import Authority

from agents.bootstrap.agent import Agent
from agents.bootstrap.setup import BrokerAnswers, Setup, set_up
from agents.config.agent import load_config
from agents.errors import ConfigurationError
from protocol.broker import BrokerAddress
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


def test_each_issuer_has_a_virtual_host_of_its_own_on_our_broker(agent):
    access = agent.access(C, BrokerAddress("amqp://broker.example:5680"))
    assert (access.address, access.virtual_host) == ("amqp://broker.example:5680", "enroll.client-c")
    assert agent.access(OrganisationName("client-d")).virtual_host == "enroll.client-d"


def test_a_broker_whose_only_virtual_host_is_named_has_no_others(tmp_path):
    home, broker = tmp_path / "b", BrokerAnswers("amqp://broker.example", virtual_host="the only one")
    set_up(Setup(home=home, name="client-b", title="Client B", broker=broker))
    assert load_config(home).broker.virtual_host_of(C) == "the only one"


@pytest.mark.parametrize(
    "other", ["amqp://elsewhere.example:5680", "amqp://broker.example:5681", "amqps://broker.example:5680"]
)
def test_our_login_goes_to_no_other_broker(agent, other):
    said = r"our login is for that one.*\[brokers\.client-c\].*if this is a typing error, correct url in \[broker\]"
    with pytest.raises(ConfigurationError, match=said):
        agent.access(C, BrokerAddress(other))


def test_a_password_file_that_cannot_be_used_is_told_before_anything_is_sent(agent):
    """Whoever set it up, the fault is on this side."""
    file, place = agent.home.parent / "password", f"password_file of [broker] in {agent.home / 'agent.toml'}"
    file.chmod(0o604)
    with pytest.raises(ConfigurationError) as caught:
        agent.access(C)
    for words in (f"{place}: {file}", "mode 0604", f"chmod 600 '{file}'"):
        assert words in str(caught.value)
    file.unlink()
    with pytest.raises(ConfigurationError) as caught:
        agent.access(C)
    assert f"{place}: {file}: there is no such file" in str(caught.value)


def test_a_login_may_be_shared_with_a_group_and_be_a_link(agent):
    file = agent.home.parent / "password"
    elsewhere = file.rename(file.with_name("put-in-place"))
    elsewhere.chmod(0o640)
    file.symlink_to(elsewhere)
    assert agent.access(C).user == "client-b"


@pytest.fixture
def pems(tmp_path):
    """The file of a broker's CA; certificate and key of a login there."""
    authority = Authority("broker")
    (tmp_path / "ca.pem").write_bytes(authority.root.pem)
    return (tmp_path / "ca.pem", *map(Path, authority.client("client-b").write(tmp_path, "login")))


def with_certificate(tmp_path, pems):
    """An agent that is to log in with a certificate."""
    return Setup(tmp_path / "b", "client-b", "Client B", BrokerAnswers("amqps://broker.example", "", None, *pems))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_file_of_a_login_with_a_certificate_must_be_there_and_be_what_it_is_for(tmp_path, pems, number):
    agent = Agent(set_up(with_certificate(tmp_path, pems)).home)
    assert agent.access(C).authority == pems[0]
    pems[number].write_text("something else")
    with pytest.raises(ConfigurationError, match=rf"{pems[number]}.*cannot be used: wanted .* in PEM"):
        agent.access(C)
    pems[number].unlink()
    with pytest.raises(ConfigurationError, match="there is no such file"):
        agent.access(C)
    agent.ledger.close()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_no_agent_is_made_for_a_login_that_cannot_be_one(tmp_path, pems, number):
    pems[number].write_text("something else")
    with pytest.raises(ConfigurationError, match=rf"{pems[number]}.*cannot be used: wanted .* in PEM"):
        set_up(with_certificate(tmp_path, pems))
    assert not (tmp_path / "b").exists()


def test_no_agent_is_made_for_tls_without_a_ca(tmp_path):
    with pytest.raises(ConfigurationError, match="needs the PEM file of the CA.*: give --broker-ca-file FILE"):
        set_up(Setup(tmp_path / "b", "client-b", "Client B", BrokerAnswers("amqps://broker.example")))


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
    os.close(os.open(agent.home / "other", os.O_CREAT | os.O_WRONLY, 0o600))
    reopened = Agent(agent.home)
    assert reopened.access(C, BrokerAddress("amqp://elsewhere.example")).address == "amqp://theirs.example:5672"
    reopened.ledger.close()
