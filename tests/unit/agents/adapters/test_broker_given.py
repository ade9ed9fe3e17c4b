"""A broker that the environment names by URL: what the URL says, and what is said of one that is none."""

import pytest

from agents.adapters.broker import GivenUrl
from agents.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqp://user:secret@broker.example:5673/host", ("amqp://broker.example:5673", "user", "secret", "host")),
        ("amqps://u%40b:p%2Fw@[::1]/a%2Fb?heartbeat=5", ("amqps://[::1]:5671", "u@b", "p/w", "a/b")),
        ("amqp://broker", ("amqp://broker:5672", "guest", "guest", "/")),
        ("amqp://broker/", ("amqp://broker:5672", "guest", "guest", "/")),
        ("amqp://user@broker/%2F", ("amqp://broker:5672", "user", "guest", "/")),
    ],
)
def test_a_url_names_the_address_the_user_and_the_virtual_host(url, said):
    given = GivenUrl(url)
    assert (given.address, given.user, given.password, given.virtual_host) == said


def test_it_never_shows_its_password():
    given = GivenUrl("amqp://user:secret@broker.example:5673/host")
    assert "secret" not in f"{given} {given!r}"
    assert str(given) == "the broker at amqp://broker.example:5673, given by URL"


@pytest.mark.parametrize(
    "url", ["", "user:canary@broker", "http://user:canary@broker/", "amqp://user:canary@broker:port/", "amqp://a,b/v"]
)
def test_a_url_that_is_none_is_a_mistake_of_the_environment_and_is_not_repeated(url):
    with pytest.raises(ConfigurationError, match="no usable URL") as caught:
        GivenUrl(url)
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__
