"""Where the broker is and how we log in."""

import ssl
from importlib.metadata import metadata, version

import pytest
from kit.pki import Authority
from pika.credentials import ExternalCredentials

from agents.adapters.amqp import BrokerAccess, ClientCertificate, PasswordFile, Timing
from agents.errors import ConfigurationError
from protocol.broker import BrokerAddress


def access(address, **changes):
    named = {"virtual_host": "enroll.client-c", "user": "client-b", "login": lambda: "secret"}
    return BrokerAccess(BrokerAddress(address), **(named | changes))


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("amqp://broker.example", "broker.example", 5672), ("amqp://[::1]:1234", "::1", 1234)],
)
def test_an_attempt_goes_to_the_address_and_into_the_virtual_host(address, host, port):
    parameters = access(address, virtual_host="a/b").parameters("name", Timing())
    assert (parameters.host, parameters.port, parameters.virtual_host) == (host, port, "a/b")


def test_parameters_carry_the_timing_and_leave_retrying_to_us():
    parameters = access("amqp://one").parameters("name", Timing(heartbeat=7, connect=3.0, blocked=11.0))
    assert (parameters.heartbeat, parameters.socket_timeout, parameters.blocked_connection_timeout) == (7, 3.0, 11.0)
    assert parameters.connection_attempts == 1


def test_the_broker_s_operator_reads_which_program_this_is_and_not_which_library():
    properties = access("amqp://one").parameters("apostille client-b 1 publish", Timing()).client_properties
    assert properties == {
        "product": "Apostille",
        "version": version("apostille"),
        "information": metadata("apostille")["Summary"],
        "connection_name": "apostille client-b 1 publish",
    }


def test_the_password_is_read_for_every_attempt(tmp_path):
    file = tmp_path / "password"
    reach = access("amqp://one", login=PasswordFile(file))
    for secret in ("first", "second"):
        file.write_text(secret + "\n")
        credentials = reach.parameters("name", Timing()).credentials
        assert (credentials.username, credentials.password) == ("client-b", secret)


@pytest.mark.parametrize(
    ("content", "secret"), [(b"a b", "a b"), (b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b" a ", " a ")]
)
def test_only_one_line_end_is_taken_off_a_password(tmp_path, content, secret):
    (tmp_path / "password").write_bytes(content)
    assert PasswordFile(tmp_path / "password")() == secret


def test_a_file_too_large_for_a_password_is_refused(tmp_path):
    (tmp_path / "password").write_bytes(b"x" * 2000)
    with pytest.raises(ConfigurationError, match="larger than 1024 bytes"):
        PasswordFile(tmp_path / "password")()


def test_nothing_shows_the_password():
    assert "secret" not in repr(access("amqp://one", login=lambda: "secret"))


@pytest.fixture
def files(tmp_path):
    """PEM files of a broker's CA, and of a client certificate from it."""
    authority = Authority("broker")
    (tmp_path / "ca.pem").write_bytes(authority.root.pem)
    chain, key = authority.client("client-b").write(tmp_path, "client")
    return tmp_path / "ca.pem", ClientCertificate(chain, key)


def test_tls_verifies_the_broker_and_its_name(files):
    options = access("amqps://one", authority=files[0]).parameters("name", Timing()).ssl_options
    assert options.context.verify_mode is ssl.CERT_REQUIRED
    assert options.context.check_hostname
    assert options.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert options.server_hostname == "one"


def test_a_client_certificate_logs_in_by_itself_with_a_new_context_each_time(files):
    authority, certificate = files
    reach = access("amqps://one", login=certificate, authority=authority)
    first, second = (reach.parameters("name", Timing()) for _ in range(2))
    assert isinstance(first.credentials, ExternalCredentials)
    assert first.ssl_options.context is not second.ssl_options.context
    assert first.port == 5671


@pytest.mark.parametrize("content", [None, b"no PEM"])
@pytest.mark.parametrize("name", ["ca.pem", "client-chain.pem", "client-key.pem"])
def test_a_file_that_cannot_be_used_for_tls_is_named(files, name, content):
    authority, certificate = files
    file = authority.with_name(name)
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{file}.* cannot be used: wanted"):
        access("amqps://one", login=certificate, authority=authority).parameters("name", Timing())


def test_a_password_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "password").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="password is not text"):
        PasswordFile(tmp_path / "password")()


def test_tls_without_the_brokers_authority_is_refused():
    with pytest.raises(ConfigurationError, match="CA that certifies the broker"):
        access("amqps://one")


@pytest.mark.parametrize("without_use", ["authority", "login"])
def test_what_goes_with_tls_is_refused_without_it(files, without_use):
    authority, certificate = files
    given = {"authority": authority, "login": certificate}
    with pytest.raises(ConfigurationError, match=r"write amqps:// instead of amqp://one:5672"):
        access("amqp://one", **{without_use: given[without_use]})


def test_a_key_for_another_certificate_is_told_apart_from_what_a_broker_does(files, tmp_path):
    authority, certificate = files
    _, other = Authority("other").client("client-b").write(tmp_path, "other")
    reach = access("amqps://one", login=ClientCertificate(certificate.chain, other), authority=authority)
    with pytest.raises(ConfigurationError, match=r"our login at the broker.*and its own key \(KEY_VALUES_MISMATCH\)"):
        reach.require_usable()
