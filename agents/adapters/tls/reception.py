"""What the listening end decides about one client: whom it admits, and what it answers. Blocks: it reads the ledger."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import h11
from cryptography import x509

from agents.adapters.tls.http import HttpError, HttpMessage
from agents.adapters.tls.peer import Tls, presented_chain, view
from agents.errors import AgreementUnusableError
from agents.ports import Admission, Clock, SessionSink
from protocol.errors import MessageError, Problem, ProblemCode, ProtocolError, problem
from protocol.messages import PROBLEMS_MAX, ChannelRefusal, ChannelStatement, PeerView, parse_statement
from protocol.names import Fingerprint, OrganisationName
from protocol.path import Purpose, load_certificate, verify_path


@dataclass(frozen=True, slots=True)
class Guest:
    """An admitted client: the partner that it belongs to, and what we saw of it."""

    partner: OrganisationName
    view: PeerView


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is told: an HTTP status and a JSON document."""

    status: HTTPStatus
    body: bytes


@dataclass(frozen=True, slots=True)
class Reception:
    """The rules of one listener. `certificate` is our server's; `anchors` and `intermediates` issue to clients."""

    organisation: OrganisationName
    certificate: Fingerprint
    anchors: Sequence[x509.Certificate]
    intermediates: Sequence[x509.Certificate]
    admission: Admission
    sink: SessionSink
    clock: Clock

    def admit(self, tls: Tls) -> Guest:
        """Who the client is. Raises `ProtocolError` if it may not use the channel, `AgentError` if we cannot tell."""
        # 1. The handshake demanded and gave what it must; OpenSSL found a path (RFC 8446 section 4.4.2).
        leaf_der = presented_chain(tls)[0]
        # 2. One validator for everything, over our own intermediates: the client's chain is not needed.
        leaf = load_certificate(leaf_der)
        verify_path(leaf, self.intermediates, self.anchors, Purpose.CHANNEL_CLIENT, self.clock.now())
        seen = view(tls, leaf)
        # 3. Our own record of this certificate.
        return Guest(self.admission(leaf_der), seen)

    def answer(self, guest: Guest, request: HttpMessage) -> Answer:
        """Answer with our statement, after the sink was told. Raises `ProtocolError` or `AgentError`."""
        self.sink(self._statement(guest, request), guest.view, guest.partner)
        ours = ChannelStatement(organisation=self.organisation, sees=guest.view)
        return Answer(HTTPStatus.OK, ours.model_dump_json().encode())

    def _statement(self, guest: Guest, request: HttpMessage) -> ChannelStatement | None:
        """What the client says of us, if it says anything."""
        match request.head:
            case h11.Request(method=b"GET", target=b"/"):
                return None
            case h11.Request(method=b"POST", target=b"/"):
                return self._agreeing(guest, parse_statement(request.body))
            case h11.Request(method=method, target=b"/"):
                raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, method, "GET or POST")
            case head:
                raise HttpError(HTTPStatus.NOT_FOUND, getattr(head, "target", b""), "/")

    def _agreeing(self, guest: Guest, statement: ChannelStatement) -> ChannelStatement:
        """The statement, if its maker is who we see and sees us; otherwise somebody stands in between."""
        if statement.organisation != guest.partner:
            raise _disagreement("organisation", statement.organisation, guest.partner)
        if not hmac.compare_digest(statement.sees.certificate, self.certificate):
            raise _disagreement("sees.certificate", statement.sees.certificate, self.certificate)
        return statement


def refusal(error: Exception) -> Answer:
    """What a client is told of `error`: its own faults in full, ours without any detail but whom to tell."""
    match error:
        case HttpError():
            return _refusal(error.status, error.problems)
        case MessageError():
            return _refusal(HTTPStatus.BAD_REQUEST, error.problems)
        case ProtocolError():
            return _refusal(HTTPStatus.FORBIDDEN, error.problems)
        case TimeoutError():
            return _refusal(HTTPStatus.REQUEST_TIMEOUT, (_TOO_SLOW,))
        case AgreementUnusableError():
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, (_NO_AGREEMENT,))
        case _:
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, (_OUR_FAULT,))


def _refusal(status: HTTPStatus, problems: tuple[Problem, ...]) -> Answer:
    return Answer(status, ChannelRefusal(problems=problems[:PROBLEMS_MAX]).model_dump_json().encode())


def _disagreement(field: str, got: str, wanted: str) -> ProtocolError:
    fix = "Make sure that nothing between both ends terminates TLS, and that one agent only uses this certificate."
    return ProtocolError(problem(ProblemCode.NOT_AUTHORIZED, field, got, f"{wanted}, which this end sees", fix))


_TOO_SLOW = problem(
    ProblemCode.BAD_REQUEST,
    "HTTP request",
    "no complete request in time",
    "one within seconds",
    "Send the request at once.",
)
_NO_AGREEMENT = problem(
    ProblemCode.SYSTEM_FAILURE,
    "agreement",
    "this end's agreement with you cannot be read",
    "an agreement that can be read",
    "Nothing is wrong with your certificate: tell the operator of this end, whose log says why.",
)
_OUR_FAULT = problem(
    ProblemCode.SYSTEM_FAILURE,
    "channel",
    "a fault at this end",
    "an answer",
    "Try again later; if it lasts, tell the operator of this end the time at which it happened.",
)
