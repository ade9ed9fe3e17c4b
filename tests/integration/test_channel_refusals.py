"""Whom the listening end of a channel refuses, and what it tells them."""

from __future__ import annotations

import json
import socket
import ssl
from datetime import UTC, datetime

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from kit.channel import HOST, PARTNER, World, visit, visitor
from kit.patience import PATIENCE
from kit.pki import CLIENT, DAY, Authority, now

from agents.errors import AgreementUnusableError, LedgerUnavailableError, NotVerifiedError, UnreachableError
from protocol.messages import ChannelStatement
from protocol.names import OrganisationName

CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def alert(world, context, name=HOST):
    """The reason that the client's TLS library gives; the listener must serve others afterwards."""
    with world.listening() as endpoint:
        with pytest.raises(ssl.SSLError) as caught:
            visit(endpoint, context, GET, name)
        assert world.dial(endpoint)
    return caught.value.reason


def answer(world, said, holder=None):
    """Status and document that a client gets who says `said`; the listener must serve others afterwards."""
    with world.listening() as endpoint:
        head, _, body = visit(endpoint, visitor(world, holder or world.client), said).partition(b"\r\n\r\n")
        world.books.fault = None
        assert world.dial(endpoint, world.recorded(world.authority.client("other.client-b.example")))
    return int(head.split()[1]), json.loads(body), head


def post(statement):
    body = statement.model_dump_json().encode()
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


# --- refused by TLS, with an alert that says why ---------------------------------------------------------------------


def test_no_certificate(world):
    assert alert(world, visitor(world, None)) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


def test_a_certificate_of_another_authority(world):
    assert alert(world, visitor(world, Authority("client-c").client("a.example"))) == "TLSV1_ALERT_UNKNOWN_CA"


def test_an_expired_certificate(world):
    expired = world.recorded(world.authority.client("a.example", not_before=now() - 9 * DAY, not_after=now() - DAY))
    assert alert(world, visitor(world, expired)) == "SSLV3_ALERT_CERTIFICATE_EXPIRED"


def test_a_certificate_that_is_for_servers_only(world):
    server_only = world.recorded(world.authority.server("a.example"))
    assert alert(world, visitor(world, server_only)) == "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"


def test_tls_1_2(world):
    context = visitor(world, world.client)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert alert(world, context) == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_a_name_that_is_not_ours(world):
    context = visitor(world, world.client)
    context.check_hostname = False
    assert alert(world, context, "elsewhere.example") == "TLSV1_UNRECOGNIZED_NAME"


@pytest.mark.parametrize("name", [None, "127.0.0.1"])
def test_no_name_at_all(world, name):
    context = visitor(world, world.client)
    context.check_hostname = False
    assert alert(world, context, name) == "TLSV13_ALERT_MISSING_EXTENSION"


# --- refused after TLS, with an answer -------------------------------------------------------------------------------


@pytest.mark.parametrize("protocols", [[], ["h2"]])
def test_another_protocol_inside(world, protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=b"".join(world.anchors))
    context.load_cert_chain(*world.client.write(world.directory, "no-alpn"))
    if protocols:
        context.set_alpn_protocols(protocols)
    with world.listening() as endpoint:
        said = visit(endpoint, context, GET)
    assert b"403 Forbidden" in said
    assert b"ALPN protocol" in said
    assert not world.books.sessions


def test_a_certificate_that_openssl_lets_pass_but_the_path_validator_does_not(world):
    two_purposes = world.recorded(
        world.authority.issue("a.example", purposes=(CLIENT, ExtendedKeyUsageOID.CODE_SIGNING))
    )
    status, body, _ = answer(world, GET, two_purposes)
    assert status == 403
    assert body["problems"][0]["field"] == "extended key usage"


def test_a_certificate_that_is_not_on_record_gets_the_reason_and_the_remedy(world):
    status, body, head = answer(world, GET, world.authority.client("a.example"))
    assert status == 403
    assert body["type"] == "channel.refusal"
    assert body["problems"][0]["code"] == "notAuthorized"
    assert "Enroll" in body["problems"][0]["fix"]
    assert b"Connection: close" in head


def test_a_revoked_certificate_gets_the_reason(world):
    revoked = world.authority.client("a.example")
    world.books.record(revoked, revoked_at=datetime(2026, 3, 1, tzinfo=UTC))
    status, body, _ = answer(world, GET, revoked)
    assert status == 403
    assert "revoked at 2026-03-01T00:00:00Z" in body["problems"][0]["got"]


def test_the_dialler_tells_its_operator_the_reason_in_the_answer(world):
    with world.listening() as endpoint, pytest.raises(NotVerifiedError, match=r"403: client certificate: got .*Enroll"):
        world.dial(endpoint, world.authority.client("a.example"))


@pytest.mark.parametrize("fault", [LedgerUnavailableError("/secret/path is locked"), RuntimeError("/secret/path")])
def test_a_fault_of_ours_refuses_and_keeps_its_details(world, fault):
    world.books.fault = fault
    status, body, head = answer(world, GET)
    assert status == 503
    assert body["problems"][0]["code"] == "systemFailure"
    assert "secret" not in f"{body}{head}"
    assert len(world.books.sessions) == 1  # that of the client after it


def test_a_client_whose_agreement_cannot_be_read_is_told_whom_to_ask(world):
    world.books.fault = AgreementUnusableError("/secret/path: line 3")
    status, body, head = answer(world, GET)
    assert (status, body["problems"][0]["got"]) == (503, "this end's agreement with you cannot be read")
    assert "secret" not in f"{body}{head}"


def test_a_ledger_that_is_away_means_try_again(world):
    world.books.fault = LedgerUnavailableError("locked")
    with world.listening() as endpoint, pytest.raises(UnreachableError, match="503: channel: got a fault at this end"):
        world.dial(endpoint)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET //evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\0" * 100 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5_000 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8193\r\n\r\n", 413),
        (CHUNKED + (b"400\r\n" + b"a" * 1024 + b"\r\n") * 9, 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 417),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000\r\n\r\n" + b"[" * 8000, 400),
    ],
    ids=lambda value: value[:24].decode("latin-1").strip() if isinstance(value, bytes) else str(value),
)
def test_what_is_not_one_of_the_two_requests_gets_a_proper_answer(world, said, status):
    got, body, _ = answer(world, said)
    assert got == status
    assert body["type"] == "channel.refusal"
    assert body["problems"]


def test_a_head_request_gets_a_head_only(world):
    with world.listening() as endpoint:
        said = visit(endpoint, visitor(world, world.client), b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, POST" in said
    assert said.endswith(b"\r\n\r\n")


def test_a_statement_that_sees_another_certificate_than_ours_is_refused(world):
    with world.listening() as endpoint:
        report = world.dial(endpoint)
    status, body, _ = answer(world, post(ChannelStatement(organisation=PARTNER, sees=report.partner_saw)))
    assert status == 403
    assert body["problems"][0]["field"] == "sees.certificate"


def test_a_statement_in_the_name_of_another_organisation_is_refused_and_not_recorded(world):
    wanted = pytest.raises(NotVerifiedError, match="organisation: got client-x; allowed: client-b")
    with world.listening() as endpoint, wanted:
        world.dial(endpoint, us=OrganisationName("client-x"))
    assert not world.books.sessions


# --- refused without a word, because nobody listens ------------------------------------------------------------------


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"\0",
        b"\x16\x03\x01\xff\xff" + b"\xff" * 65_535,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(256)) * 64,
    ],
    ids=["nothing", "one byte", "a false hello", "plain HTTP", "noise"],
)
def test_noise_before_tls_ends_that_connection_only(world, noise):
    with world.listening() as endpoint:
        with socket.create_connection(("127.0.0.1", endpoint.port), timeout=PATIENCE) as sock:
            sock.sendall(noise)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
        assert world.dial(endpoint)
    assert len(world.books.sessions) == 1
