from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.adapters.tls.http import HttpError, HttpMessage, client_exchange, server_exchange
from agents.adapters.tls.limits import BODY_MAX

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_both_ends_understand_each_other():
    client, server = client_exchange(), server_exchange()
    request = server.receive(client.request("c.example:8443", b'{"a":1}'))
    assert isinstance(request.head, h11.Request)
    assert (request.head.method, request.head.target, request.body) == (b"POST", b"/", b'{"a":1}')
    response = client.receive(server.response(HTTPStatus.OK, b"{}", NOW))
    assert isinstance(response.head, h11.Response)
    assert (response.head.status_code, response.body) == (200, b"{}")
    assert (b"date", b"Sun, 01 Mar 2026 12:00:00 GMT") in list(response.head.headers)


def test_a_message_may_arrive_in_any_pieces():
    server, request = server_exchange(), client_exchange().request("c.example", b"{}")
    answers = [server.receive(request[place : place + 1]) for place in range(len(request))]
    assert answers[:-1] == [None] * (len(request) - 1)
    assert answers[-1].body == b"{}"


def test_a_second_request_on_the_same_connection_is_not_read():
    message = server_exchange().receive(
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert message.head.target == b"/"


@pytest.mark.parametrize("said", [b"", b"GET / HTT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"])
def test_an_end_in_the_middle_is_a_bad_request(said):
    server = server_exchange()
    if said:
        assert server.receive(said) is None
    with pytest.raises(HttpError) as caught:
        server.receive(b"")
    assert caught.value.status == HTTPStatus.BAD_REQUEST


def test_the_largest_body_passes_and_one_byte_more_does_not():
    assert server_exchange().receive(client_exchange().request("x", b"a" * BODY_MAX)).body == b"a" * BODY_MAX
    with pytest.raises(HttpError) as caught:
        server_exchange().receive(client_exchange().request("x", b"a" * (BODY_MAX + 1)))
    assert caught.value.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_a_body_without_an_announced_size_is_bounded_too():
    server = server_exchange()
    assert server.receive(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") is None
    with pytest.raises(HttpError, match="body of 8193 bytes"):
        server.receive(b"2001\r\n" + b"a" * 0x2001 + b"\r\n")


def test_an_interim_response_is_passed_over():
    client = client_exchange()
    client.request("x", b"{}")
    assert client.receive(b"HTTP/1.1 103 Early Hints\r\n\r\n") is None
    assert client.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").body == b"1"


def test_an_answer_may_come_before_the_request():
    assert server_exchange().response(HTTPStatus.FORBIDDEN, b"{}", NOW).startswith(b"HTTP/1.1 403 Forbidden\r\n")


def test_after_its_answer_a_server_says_nothing_more():
    server = server_exchange()
    assert server.response(HTTPStatus.FORBIDDEN, b"{}", NOW)
    assert server.response(HTTPStatus.FORBIDDEN, b"{}", NOW) == b""


def outcome(exchange, pieces):
    try:
        return next(filter(None, map(exchange.receive, pieces)), None)
    except HttpError as error:
        return error


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=10))
def test_any_bytes_give_a_message_or_the_one_error(pieces):
    for exchange in (server_exchange(), client_exchange()):
        assert isinstance(outcome(exchange, pieces), HttpMessage | HttpError | None)


LINES = [
    *(b"GET / HTTP/1.1\r\n", b"CONNECT x HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"Host: x\r\n"),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n"),
    *(b"Upgrade: h2c\r\n", b"\r\n", b"abc", b"0\r\n"),
]


@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_whatever_a_client_says_in_well_formed_lines_it_can_be_answered(lines):
    exchange = server_exchange()
    outcome(exchange, lines)
    assert exchange.response(HTTPStatus.BAD_REQUEST, b"{}", NOW).startswith(b"HTTP/1.1 400 ")
