"""Logging in to a broker over TLS, where it fails: what pika makes of real TLS errors, told to the operator.

The listener speaks TLS and nothing else: each of these connections ends before AMQP begins.
"""

import contextlib
import socket
import ssl
import threading

import pytest
from kit.bus import QUICK, silent_log
from kit.patience import PATIENCE
from kit.pki import DAY, Authority, now

from agents.adapters.amqp import AmqpBus, BrokerAccess, ClientCertificate
from agents.adapters.clock import SystemClock
from protocol.broker import BrokerAddress
from protocol.names import OrganisationName


class TlsListener:
    """Accepts connections one after the other and does the server's part of the handshake."""

    def __init__(self, context):
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            near.settimeout(PATIENCE)
            with near, contextlib.suppress(OSError), self._context.wrap_socket(near, server_side=True) as secured:
                while secured.recv(4096):
                    pass


@pytest.fixture
def authority():
    return Authority("broker")


@pytest.fixture
def listener(authority, tmp_path):
    """Wants client certificates from the broker's authority, and shows one for 127.0.0.1 under the name localhost."""
    chain, key = authority.server("localhost").write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.root.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tmp_path / "ca.pem")
    with contextlib.closing(TlsListener(context)) as listener:
        yield listener


@pytest.fixture
def trouble(listener, tmp_path, eventually):
    """What health says about a login with this certificate."""

    def logged_in(holder, host="localhost", authority=None):
        certificate = ClientCertificate(*holder.write(tmp_path, "client"))
        address, authority = BrokerAddress(f"amqps://{host}:{listener.port}"), authority or tmp_path / "ca.pem"
        broker = BrokerAccess(address, "enroll.client-c", "client-b", certificate, authority)
        bus = AmqpBus(
            broker, OrganisationName("client-b"), "replies.client-b", SystemClock(), silent_log(), timing=QUICK
        )
        try:
            eventually(lambda: bus.health().last_error)
            return bus.health().last_error
        finally:
            bus.close(2.0)

    return logged_in


def test_a_client_certificate_from_another_authority_is_named_as_the_cause(trouble):
    said = trouble(Authority("stranger").client("client-b"))
    assert "client certificate is in force and from a CA the broker trusts" in said


def test_an_expired_client_certificate_is_named_as_the_cause(trouble, authority):
    start = now() - 40 * DAY
    said = trouble(authority.client("client-b", not_before=start, not_after=start + 10 * DAY))
    assert "client certificate is in force" in said


def test_a_broker_from_another_authority_is_refused(trouble, authority, tmp_path):
    (tmp_path / "other.pem").write_bytes(Authority("stranger").root.pem)
    said = trouble(authority.client("client-b"), authority=tmp_path / "other.pem")
    assert "certificate of the broker" in said
    assert "not valid" in said


def test_a_broker_under_another_name_is_refused(trouble, authority):
    said = trouble(authority.client("client-b"), host="127.0.0.1")
    assert "certificate of the broker" in said
    assert "host name in the URL" in said
