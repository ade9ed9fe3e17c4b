"""What the dialler says of servers that are not the partner's channel, or not as it must be."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time

import pytest
from kit.channel import HOST, ISSUER, World, serving
from kit.patience import PATIENCE
from kit.pki import DAY, Authority, now
from kit.ports import KeptPort

from agents.adapters.tls import Timeouts
from agents.errors import NotVerifiedError, StateError, UnreachableError
from agents.ports import ChannelCredential
from protocol.errors import ProblemCode, problem
from protocol.messages import ChannelRefusal, ChannelStatement, Endpoint
from protocol.names import DnsName, OrganisationName

SHORT = Timeouts(connect=0.5, handshake=0.5, exchange=0.5)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def server_context(world, holder=None, protocols=("http/1.1",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*(holder or world.server).write(world.directory, "server"))
    context.load_verify_locations(cadata=b"".join(world.anchors))
    context.verify_mode = ssl.CERT_REQUIRED
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def tls_server(context, answer=b""):
    """Handles a connection: handshake, read the request, say `answer`, close."""

    def handle(sock):
        sock.settimeout(PATIENCE)
        with context.wrap_socket(sock, server_side=True) as tls:
            if answer and tls.recv(8192):
                tls.sendall(answer)
                with contextlib.suppress(OSError):
                    tls.unwrap()

    return handle


def response(status, body):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def failure(world, handle, kind, **changes):
    with serving(handle) as endpoint, pytest.raises(kind) as caught:
        world.dial(endpoint, **changes)
    return str(caught.value)


# --- not reached -----------------------------------------------------------------------------------------------------


def test_a_closed_port(world):
    refused = pytest.raises(
        UnreachableError, match=r"cannot connect to localhost:.*127.0.0.1: Connection refused.*daemon"
    )
    with KeptPort() as nobody, refused:
        world.dial(Endpoint(host=DnsName(HOST), port=nobody.number))


def test_a_name_without_an_address(world):
    with pytest.raises(UnreachableError, match=r"no address for the name"):
        world.dial(Endpoint(host=DnsName("channel.invalid"), port=443))


def test_a_server_that_takes_the_connection_and_says_nothing(world):
    said = failure(world, lambda sock: sock.recv(100_000) and sock.recv(1), UnreachableError, timeouts=SHORT)
    assert "did not answer in time" in said


def test_a_server_that_says_nothing_after_the_handshake(world):
    def handle(sock):
        with server_context(world).wrap_socket(sock, server_side=True) as tls:
            while tls.recv(100_000):
                pass

    assert "did not answer in time" in failure(world, handle, UnreachableError, timeouts=SHORT)


def test_a_server_whose_answer_never_ends(world):
    def handle(sock):
        with server_context(world).wrap_socket(sock, server_side=True) as tls:
            tls.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while True:  # until the dialler hangs up
                tls.sendall(b"a")
                time.sleep(0.05)

    assert "did not answer in time" in failure(world, handle, UnreachableError, timeouts=SHORT)


def test_a_server_that_resets_the_connection(world):
    def handle(sock):
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert "closed the connection without a word" in failure(world, handle, UnreachableError)


def test_a_server_that_closes_after_the_handshake_without_a_word(world):
    assert "without a word" in failure(world, tls_server(server_context(world)), UnreachableError)


def test_a_server_that_is_too_busy(world):
    said = failure(world, tls_server(server_context(world), response(503, b"later")), UnreachableError)
    assert "answered 503: later" in said


# --- not TLS as it must be -------------------------------------------------------------------------------------------


def test_a_server_that_does_not_speak_tls(world):
    said = failure(world, lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), NotVerifiedError)
    assert "what came is not TLS" in said


def test_a_server_that_does_tls_1_2_only(world):
    context = server_context(world)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert "TLS 1.3" in failure(world, tls_server(context), NotVerifiedError)


def test_a_server_that_does_not_agree_on_http(world):
    said = failure(world, tls_server(server_context(world, protocols=())), NotVerifiedError)
    assert "ALPN protocol: got none; allowed: http/1.1" in said


# --- not the right certificate ---------------------------------------------------------------------------------------


def test_an_expired_server_certificate_and_for_how_long(world):
    expired = world.authority.server(HOST, not_before=now() - 9 * DAY, not_after=now() - 3 * DAY)
    said = failure(world, tls_server(server_context(world, expired)), NotVerifiedError)
    assert "3 days, 0:00" in said
    assert "Tell client-c" in said


def test_a_certificate_for_another_host_and_for_which(world):
    other = world.authority.server("other.example")
    said = failure(world, tls_server(server_context(world, other)), NotVerifiedError)
    assert "other.example" in said
    assert "'localhost'" in said


def test_a_certificate_under_another_root_and_under_which(world):
    other = Authority("client-z").server(HOST)
    said = failure(world, tls_server(server_context(world, other)), NotVerifiedError)
    assert "client-z root" in said
    assert "trust anchor" in said


def test_a_certificate_that_is_for_clients_only(world):
    client_only = world.authority.client(HOST)
    said = failure(world, tls_server(server_context(world, client_only)), NotVerifiedError)
    assert "extended key usage" in said


def test_the_time_that_counts_is_the_one_that_was_given(world):
    with world.listening() as endpoint, pytest.raises(NotVerifiedError, match=r"not accepted.*valid until"):
        world.dial(endpoint, now=now() + 60 * DAY)
    assert not world.books.sessions


# --- not the right answer --------------------------------------------------------------------------------------------


def test_a_server_that_sees_somebody_else(world):
    with world.listening() as endpoint:
        report = world.dial(endpoint)
    lie = ChannelStatement(organisation=ISSUER, sees=report.we_saw).model_dump_json().encode()
    said = failure(world, tls_server(server_context(world), response(200, lie)), NotVerifiedError)
    assert f"sees another certificate than ours: got {report.we_saw.certificate}" in said
    assert report.partner_saw.certificate in said


def test_a_server_that_is_another_organisation(world):
    with world.listening() as endpoint:
        report = world.dial(endpoint)
    other = ChannelStatement(organisation=OrganisationName("client-x"), sees=report.partner_saw)
    answer = response(200, other.model_dump_json().encode())
    said = failure(world, tls_server(server_context(world), answer), NotVerifiedError)
    assert "another organisation: got client-x, wanted client-c" in said


def test_the_reason_of_a_refusal_is_quoted_and_escaped(world):
    reason = problem(ProblemCode.NOT_AUTHORIZED, "x", "y", "z", "Call us.").model_copy(update={"got": "\x1b[2Jéé\n"})
    body = ChannelRefusal(problems=(reason,)).model_dump_json().encode()
    said = failure(world, tls_server(server_context(world), response(403, body)), NotVerifiedError)
    assert 'answered 403: {"type":"channel.refusal"' in said
    assert said.isascii()
    assert said.isprintable()


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (response(403, b"<html>\x1b[2J</html>"), "answered 403: <html>\\x1b[2J</html>"),
        (response(301, b""), "answered 301"),
        (response(200, b"{}"), "does not speak as a channel does"),
        (response(200, b'{"type":"channel.refusal"}'), "does not speak as a channel does"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak as a channel does"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000, "does not speak as a channel does"),
        (response(200, b"a" * 9000), "does not speak as a channel does"),
    ],
    ids=["403 in HTML", "redirection", "empty object", "other message", "no HTTP", "huge head", "huge body"],
)
def test_an_answer_that_is_no_statement(world, answer, wanted):
    assert wanted in failure(world, tls_server(server_context(world), answer), NotVerifiedError)


# --- refused by the partner's TLS ------------------------------------------------------------------------------------


def test_our_expired_certificate_and_since_when(world):
    ours = world.recorded(world.authority.client("a.example", not_before=now() - 9 * DAY, not_after=now() - 2 * DAY))
    with world.listening() as endpoint, pytest.raises(NotVerifiedError) as caught:
        world.dial(endpoint, ours)
    assert "certificate_expired" in str(caught.value)
    assert "ours ended 2 days, 0:00:0" in str(caught.value)


def test_our_certificate_of_another_authority(world):
    with world.listening() as endpoint, pytest.raises(NotVerifiedError, match=r"alert unknown_ca: our certificate"):
        world.dial(endpoint, Authority("client-x").client("a.example"))


def test_our_certificate_for_the_wrong_purpose(world):
    with world.listening() as endpoint, pytest.raises(NotVerifiedError, match=r"unsupported_certificate"):
        world.dial(endpoint, world.authority.server("a.example"))


def test_a_host_name_that_the_listener_does_not_serve(world):
    other = world.authority.server("channel.client-c.example")
    with world.listening(other) as endpoint, pytest.raises(NotVerifiedError, match=r"unrecognized_name"):
        world.dial(endpoint.model_copy(update={"host": DnsName(HOST)}))


# --- our own credential ----------------------------------------------------------------------------------------------


def test_a_credential_that_is_not_there(world):
    endpoint = Endpoint(host=DnsName(HOST), port=1)
    with pytest.raises(StateError, match=r"cannot read /nowhere/chain.pem: No such file"):
        world.dial(endpoint, credential=ChannelCredential("/nowhere/chain.pem", "/nowhere/key.pem"))


@pytest.mark.parametrize("anchors", [(), (b"nonsense",)])
def test_anchors_that_cannot_be_used(world, anchors):
    with pytest.raises(StateError, match=r"anchors"):
        world.dial(Endpoint(host=DnsName(HOST), port=1), anchors=anchors)
