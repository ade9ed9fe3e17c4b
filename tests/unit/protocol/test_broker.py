"""Where a broker is: one grammar, for whoever writes it."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.broker import BrokerAddress
from protocol.errors import NameSyntaxError, ProblemCode

NAME = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
"""As long as a DNS name can be."""


@pytest.mark.parametrize(
    ("text", "address", "host", "port"),
    [
        ("amqp://localhost", "amqp://localhost:5672", "localhost", 5672),
        ("amqps://localhost", "amqps://localhost:5671", "localhost", 5671),
        ("AMQP://Broker-1.Example:5680", "amqp://broker-1.example:5680", "broker-1.example", 5680),
        ("amqp://3com.example:1", "amqp://3com.example:1", "3com.example", 1),
        ("amqp://xn--bcher-kva.example:65535", "amqp://xn--bcher-kva.example:65535", "xn--bcher-kva.example", 65535),
        (f"amqp://{NAME}:1", f"amqp://{NAME}:1", NAME, 1),
        ("amqp://192.0.2.1", "amqp://192.0.2.1:5672", "192.0.2.1", 5672),
        ("amqps://[2001:DB8:0:0::1]:7", "amqps://[2001:db8::1]:7", "2001:db8::1", 7),
        ("amqps://[::1]", "amqps://[::1]:5671", "::1", 5671),
    ],
)
def test_an_address_is_scheme_host_and_port_in_one_form(text, address, host, port):
    parsed = BrokerAddress(text)
    assert (parsed, parsed.host, parsed.port) == (address, host, port)
    assert parsed.is_tls == address.startswith("amqps://")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:5672",
        "://localhost",
        "http://localhost",
        "amqpss://localhost",
        "amqp:localhost",
        "amqp://",
        "amqp:///",
        "amqp://:5672",
        "amqp://localhost/",
        "amqp://localhost/enroll.client-c",
        "amqp://localhost?heartbeat=5",
        "amqp://localhost#1",
        "amqp://@localhost",
        "amqp://one,two",
        "amqp://localhost:",
        "amqp://localhost:0",
        "amqp://localhost:05672",
        "amqp://localhost:65536",
        "amqp://localhost:port",
        "amqp://localhost:\u0661",
        "amqp://my_broker",
        "amqp://-broker",
        "amqp://broker-",
        "amqp://bro..ker",
        "amqp://broker.example.",
        "amqp://*.example",
        "amqp://b%6Fker",
        "amqp://bücher.example",
        "amqp://bro\u212aer",
        "amqp://xn--a.example",
        f"amqp://{NAME}d",
        "amqp://1.2.3",
        "amqp://1.2.3.256",
        "amqp://01.2.3.4",
        "amqp://12345",
        "amqp://::1",
        "amqp://[::1",
        "amqp://[]",
        "amqp://[1.2.3.4]",
        "amqp://[fe80::1%eth0]",
        "amqp://[::1]5672",
        " amqp://localhost",
        "amqp://localhost\n",
    ],
)
def test_anything_else_is_refused_and_what_is_wanted_is_said(text):
    with pytest.raises(NameSyntaxError) as caught:
        BrokerAddress(text)
    (problem,) = caught.value.problems
    assert (problem.code, problem.field) == (ProblemCode.BAD_DATA_FORMAT, "broker address")
    assert problem.allowed == "amqp://HOST:PORT or amqps://HOST:PORT, without user, password or path"


@pytest.mark.parametrize(
    "text",
    [
        "amqp://client-b:canary@broker.example:5672",
        "amqp://client-b:can@ary@broker.example",
        "client-b:canary://canary@broker.example",
    ],
)
def test_a_password_is_refused_and_not_repeated(text):
    with pytest.raises(NameSyntaxError, match=r"got '\.\.\.@broker\.example") as caught:
        BrokerAddress(text)
    assert "can" not in str(caught.value)


HOSTS = st.from_regex(r"[A-Za-z0-9.-]{1,30}", fullmatch=True) | st.ip_addresses().map(str)
NEARLY = st.from_regex(r"[aA]mqps?:?//?(\w*:?\w*@)?(\[[0-9a-f:.]{0,20}\]|[a-z0-9._-]{0,20})(:[0-9]{0,6})?/?.?")


@given(st.text() | NEARLY | st.builds("amqp://{}:{}".format, HOSTS, st.integers(0, 70_000)))
def test_any_text_gives_an_address_or_the_one_error(text):
    try:
        parsed = BrokerAddress(text)
    except NameSyntaxError:
        return
    parts = urlsplit(parsed)
    assert (parts.scheme, parts.hostname, parts.port) == (parsed.partition(":")[0], parsed.host, parsed.port)
    assert (parts.username, parts.password, parts.path, parts.query, parts.fragment) == (None, None, "", "", "")
    assert BrokerAddress(parsed) == parsed


@given(st.ip_addresses(v=6), st.integers(1, 65_535))
def test_every_spelling_of_an_ipv6_address_is_one_broker(address, port):
    spellings = (address.compressed, address.exploded, address.exploded.upper())
    assert len({BrokerAddress(f"amqp://[{one}]:{port}") for one in spellings}) == 1
