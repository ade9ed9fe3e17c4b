"""Both ends of a channel see each other, whatever client the partner uses."""

from __future__ import annotations

import json
import socket
import subprocess

import pytest
from kit.channel import HOST, ISSUER, PARTNER, World, visit, visitor
from kit.patience import PATIENCE

from protocol.certificate import fingerprint
from protocol.messages import ChannelStatement, parse_statement
from protocol.names import Fingerprint


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_both_ends_see_the_certificate_that_the_other_shows(world):
    with world.listening() as endpoint:
        report = world.dial(endpoint)
    assert report.partner == ISSUER
    assert report.we_saw.certificate == fingerprint(world.server.certificate)
    assert report.partner_saw.certificate == fingerprint(world.client.certificate)
    assert report.we_saw.names == ("dns:localhost",)
    assert report.partner_saw.subject == "CN=api.client-b.example"
    assert report.we_saw.tls_version == report.partner_saw.tls_version == "TLSv1.3"
    assert report.we_saw.cipher == report.partner_saw.cipher
    assert report.handshake_seconds > 0


def test_the_sink_is_told_both_views_before_the_partner_has_its_answer(world):
    with world.listening() as endpoint:
        report = world.dial(endpoint)
        ((statement, seen, partner),) = world.books.sessions
    assert partner == PARTNER
    assert seen == report.partner_saw
    assert statement == ChannelStatement(organisation=PARTNER, sees=report.we_saw)


def test_the_endpoint_is_the_name_of_the_certificate_and_the_bound_port(world):
    with world.listening(world.authority.server("channel.client-c.example", HOST)) as endpoint:
        assert endpoint.host == "channel.client-c.example"
        assert world.dial(endpoint.model_copy(update={"host": HOST})).partner == ISSUER


def test_any_name_of_the_server_certificate_may_be_asked_for_in_any_case(world):
    context = visitor(world, world.client)
    context.check_hostname = False
    with world.listening() as endpoint:
        assert b"200 OK" in visit(endpoint, context, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", name="LocalHost")


def test_a_client_that_shows_its_leaf_alone_is_admitted_too(world):
    bare = type(world.client)(world.client.certificate, world.client.key)
    with world.listening() as endpoint:
        assert world.dial(endpoint, bare).partner == ISSUER


def curl(world, endpoint, *more):
    chain, key = world.client.write(world.directory, "curl")
    roots = world.directory / "trust.pem"
    roots.write_bytes(world.authority.root.pem)
    command = ["curl", "-sS", "--max-time", "180", "--cert", chain, "--key", key, "--cacert", roots]
    resolve = ["--resolve", f"{HOST}:{endpoint.port}:127.0.0.1"]
    return subprocess.run([*command, *resolve, *more, f"https://{endpoint}/"], capture_output=True, check=True).stdout


def test_curl_with_the_installed_credential_is_told_who_it_is_and_who_answers(world):
    with world.listening() as endpoint:
        statement = parse_statement(curl(world, endpoint))
        assert world.books.sessions == [(None, statement.sees, PARTNER)]
    assert statement.organisation == ISSUER
    assert statement.sees.certificate == Fingerprint.of(world.client.der)


def test_curl_may_post_what_it_sees(world):
    with world.listening() as endpoint:
        seen = world.dial(endpoint).we_saw
        said = ChannelStatement(organisation=PARTNER, sees=seen).model_dump_json()
        answer = json.loads(curl(world, endpoint, "--data", said))
    assert answer["type"] == "channel.statement"
    assert world.books.sessions[1][0].sees == seen


def test_openssl_s_client_can_be_used_by_hand(world):
    chain, key = world.client.write(world.directory, "by-hand")
    root = world.directory / "root.pem"
    root.write_bytes(world.authority.root.pem)
    with world.listening() as endpoint:
        command = ["openssl", "s_client", "-quiet", "-tls1_3", "-alpn", "http/1.1", "-servername", HOST]
        files = ["-cert", chain, "-cert_chain", chain, "-key", key, "-CAfile", root, "-verify_return_error"]
        done = subprocess.run(
            [*command, *files, "-connect", f"127.0.0.1:{endpoint.port}", "-ign_eof"],
            input=b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    assert b"200 OK" in done.stdout, done.stderr
    assert b'"organisation":"client-c"' in done.stdout


def test_no_client_is_given_a_session_to_resume(world):
    context = visitor(world, world.client)
    with world.listening() as endpoint:
        sock = socket.create_connection(("127.0.0.1", endpoint.port), timeout=PATIENCE)
        with context.wrap_socket(sock, server_hostname=HOST) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert tls.recv(4096)
            assert not tls.session.has_ticket
