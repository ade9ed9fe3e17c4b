"""One HTTP/1.1 exchange (RFC 9112) as values and bytes, for both ends; h11 reads and writes it. No I/O.

Anything that is not one small, complete message is refused with the status that RFC 9110 has for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus

import h11

from agents.adapters.tls.limits import BODY_MAX, HEADERS_MAX
from protocol.errors import ProblemCode, ProtocolError, problem

_JSON = ("Content-Type", "application/json")
_CLOSE = ("Connection", "close")


@dataclass(frozen=True, slots=True)
class HttpMessage:
    """A complete request or response."""

    head: h11.Request | h11.Response
    body: bytes


class HttpError(ProtocolError):
    """What arrived is not an exchange that we take part in; `status` says so in HTTP's terms."""

    def __init__(self, status: HTTPStatus, got: object, allowed: str) -> None:
        fix = "Send GET / to see what we see, or POST / with a channel statement."
        super().__init__(problem(ProblemCode.BAD_REQUEST, "HTTP message", got, allowed, fix))
        self.status = status


class Exchange:
    """One end of one exchange: feed `receive` until it gives a message, and send what the others return."""

    def __init__(self, connection: h11.Connection) -> None:
        self._connection = connection
        self._head: h11.Request | h11.Response | None = None
        self._body = bytearray()

    def receive(self, data: bytes) -> HttpMessage | None:
        """Take bytes in (none at the end of the stream); the message once it is complete. Raises `HttpError`."""
        try:
            self._connection.receive_data(data)
            while (event := self._connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.EndOfMessage) and self._head is not None:
                    return HttpMessage(self._head, bytes(self._body))
                self._take(event)
        except h11.RemoteProtocolError as error:
            raise HttpError(HTTPStatus(error.error_status_hint), str(error), "HTTP/1.1 (RFC 9112)") from error
        return None

    def _take(self, event: object) -> None:
        match event:
            case h11.Request() | h11.Response():
                self._head = event
                self._check_head(event)
            case h11.Data():
                self._body += event.data
                self._check_size(len(self._body))
            case h11.ConnectionClosed() | h11.PAUSED:
                raise HttpError(HTTPStatus.BAD_REQUEST, "the end of the connection", "a complete message")

    def _check_head(self, head: h11.Request | h11.Response) -> None:
        if head.http_version not in {b"1.0", b"1.1"}:
            raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, b"HTTP/" + head.http_version, "HTTP/1.1")
        if self._connection.they_are_waiting_for_100_continue:
            raise HttpError(HTTPStatus.EXPECTATION_FAILED, "Expect: 100-continue", "no Expect header")
        for name, value in head.headers:
            if name == b"content-length":  # h11 has checked that it is one number
                self._check_size(int(value))

    def _check_size(self, size: int) -> None:
        if size > BODY_MAX:
            allowed = f"at most {BODY_MAX} bytes"
            raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of {size} bytes or more", allowed)

    def request(self, host: str, body: bytes) -> bytes:
        """The bytes of POST / with a JSON body."""
        headers = [("Host", host), _JSON, ("Content-Length", str(len(body))), _CLOSE]
        return self._send(h11.Request(method="POST", target="/", headers=headers), body)

    def response(self, status: HTTPStatus, body: bytes, now: datetime) -> bytes:
        """The bytes of a response with a JSON body; none if the other end cannot be answered any more.

        A HEAD request gets the headers alone (RFC 9110 section 9.3.2).
        """
        if self._connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return b""
        headers = [_JSON, ("Content-Length", str(len(body))), ("Cache-Control", "no-store"), _CLOSE]
        headers.append(("Date", format_datetime(now, usegmt=True)))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, POST"))
        only_head = isinstance(self._head, h11.Request) and self._head.method == b"HEAD"
        return self._send(
            h11.Response(status_code=status, headers=headers, reason=status.phrase), b"" if only_head else body
        )

    def _send(self, head: h11.Request | h11.Response, body: bytes) -> bytes:
        events = [head, h11.Data(data=body), h11.EndOfMessage()]
        return b"".join(self._connection.send(event) or b"" for event in events)


def server_exchange() -> Exchange:
    """The listening end."""
    return Exchange(h11.Connection(h11.SERVER, max_incomplete_event_size=HEADERS_MAX))


def client_exchange() -> Exchange:
    """The dialling end."""
    return Exchange(h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADERS_MAX))
