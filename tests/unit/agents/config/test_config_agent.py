"""What `agent.toml` refuses, and that it says so without the secrets that somebody wrote there."""

import pytest

from agents.config.agent import parse_broker_url, parse_config
from agents.errors import ConfigurationError

ORGANISATION = "[organisation]\nname = 'client-b'\ntitle = 'Client B'\n"

WITH_PASSWORD = [
    "amqp://client-b:canary@broker.example:5672",
    "amqp://client-b:can@ary@broker.example",
    "https://client-b:canary@broker.example",
    "client-b:canary@broker.example:5672",
    "amqp://client-b:canary@broker.example:port",
]


def refusal_of(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_config(ORGANISATION + text, "agent.toml")
    return str(caught.value)


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_a_password_in_a_url_of_the_file_is_refused_and_not_repeated(url):
    said = refusal_of(f"[broker]\nurl = '{url}'\n")
    assert said.startswith("agent.toml: broker.url: ")
    assert "can" not in said


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_a_password_in_a_url_of_the_command_line_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigurationError) as caught:
        parse_broker_url(url)
    assert "can" not in str(caught.value)


def test_a_password_in_the_place_of_a_section_is_not_repeated_either():
    said = refusal_of("[brokers]\nclient-c = 'amqp://b:canary@h'\n")
    assert said.startswith("agent.toml: brokers.client-c: ")
    assert "canary" not in said


def test_a_value_without_a_secret_is_shown():
    assert "(got 'http://h')" in refusal_of("[broker]\nurl = 'http://h'\n")


@pytest.mark.parametrize("within", ["0s", "367d", "9999999d"])
def test_a_time_for_confirmations_that_no_clock_can_do_is_refused(within):
    assert "agent.toml: issuing.confirm_within: " in refusal_of(f"[issuing]\nconfirm_within = '{within}'\n")
