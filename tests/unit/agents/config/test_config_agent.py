"""What `agent.toml` refuses, and that it says so without the secrets that somebody wrote there."""

import pytest

from agents.config.agent import parse_broker, parse_config
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
        parse_broker(url)
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[issuing]\nconfirm_within = '0s'",
            "issuing.confirm_within: wanted more than nothing and at most 366d (got '0s')",
        ),
        ("[issuing]\nprocesses = '2'", "issuing.processes: wanted a whole number, without quotes (got '2')"),
        ("[ca]\npassphrase_file = 1", "ca.passphrase_file: wanted text in quotes (got 1)"),
        ("[channel]\nlisten = '127.0.0.1:8443'", "channel.endpoint: is missing; add it"),
    ],
)
def test_a_fault_is_told_in_words_that_say_what_is_wanted(text, said):
    assert refusal_of(text) == f"agent.toml: {said}"


@pytest.mark.parametrize(("title", "said"), [("", "at least 1 characters"), ("x" * 65, "at most 64 characters")])
def test_a_title_that_does_not_fit_says_how_long_it_may_be(title, said):
    with pytest.raises(ConfigurationError, match=f"organisation.title: wanted {said}"):
        parse_config(ORGANISATION.replace("Client B", title), "agent.toml")


def test_a_misspelled_key_is_named_before_what_is_missing_for_it():
    said = refusal_of("[channel]\nendpont = 'localhost:8443'\nlisten = '127.0.0.1:8443'").splitlines()
    assert said == [
        "agent.toml: unknown key 'channel.endpont'; did you mean 'channel.endpoint'?",
        "agent.toml: channel.endpoint: is missing; add it",
    ]
