"""The dialling end of channels: connects, makes sure of who answers, and compares what both ends see."""

from __future__ import annotations

import contextlib
import hmac
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

import h11
from cryptography import x509

from agents.adapters.tls.connecting import Deadline, connect
from agents.adapters.tls.context import Context, client_context, looking_context
from agents.adapters.tls.failures import Call
from agents.adapters.tls.http import HttpMessage, client_exchange
from agents.adapters.tls.limits import READ_SIZE, Timeouts
from agents.adapters.tls.peer import presented_chain, view
from agents.errors import AgentError, StateError
from agents.ports import ChannelCredential, ChannelReport, Clock
from protocol.certificate import fingerprint
from protocol.errors import PathError, ProtocolError
from protocol.messages import CHAIN_MAX, ChannelStatement, Endpoint, PeerView, parse_statement
from protocol.names import OrganisationName
from protocol.path import Purpose, load_certificate, verify_path


@dataclass(frozen=True, slots=True)
class TlsChannelDialer:
    """Implements `agents.ports.ChannelDialer`."""

    clock: Clock
    timeouts: Timeouts = field(default_factory=Timeouts)

    def dial(
        self,
        endpoint: Endpoint,
        credential: ChannelCredential,
        anchors: Sequence[bytes],
        us: OrganisationName,
        partner: OrganisationName,
        now: datetime,
    ) -> ChannelReport:
        """As the port says; also raises `StateError` if `credential` or `anchors` cannot be used.

        Nothing is sent before the partner's certificate was accepted, and no answer counts that does not see us.
        """
        context, ours = client_context(credential, anchors)
        call = Call(endpoint, partner, ours, now)
        return _Dialling(self.clock, self.timeouts, call, _loaded(anchors)).report(context, us)


@dataclass(frozen=True, slots=True)
class _Dialling:
    """One attempt."""

    clock: Clock
    timeouts: Timeouts
    call: Call
    anchors: Sequence[x509.Certificate]

    def report(self, context: Context, us: OrganisationName) -> ChannelReport:
        """Open the channel, exchange statements, compare."""
        try:
            seen, answer, seconds = self._converse(context, us)
            theirs = self._statement(answer)
        except ssl.SSLCertVerificationError as error:
            raise self._looked_at_again(error) from error
        except OSError as error:
            raise self.call.failure(error) from error
        except PathError as error:
            raise self.call.wrong_certificate(str(error)) from error
        except ProtocolError as error:
            raise self.call.unusable(error) from error
        return ChannelReport(self.call.partner, seen, theirs.sees, seconds)

    def _converse(self, context: Context, us: OrganisationName) -> tuple[PeerView, HttpMessage, float]:
        """What we saw, what it answered, and how long the handshake took."""
        with self._open(context) as tls:
            started = self.clock.monotonic()
            tls.do_handshake()  # OpenSSL's own check: path, dates, purpose, host name
            seconds = self.clock.monotonic() - started
            seen = view(tls, self._accept(tls))
            answer = self._exchange(tls, ChannelStatement(organisation=us, sees=seen))
        return seen, answer, seconds

    def _open(self, context: Context) -> ssl.SSLSocket:
        """TCP, with TLS about to begin."""
        sock = connect(self.call.endpoint, Deadline(self.clock, self.timeouts.connect))
        sock.settimeout(self.timeouts.handshake)
        return context.wrap_socket(
            sock,
            server_hostname=self.call.endpoint.host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,  # an end without close_notify may be an attacker's (RFC 8446 section 6.1)
        )

    def _accept(self, tls: ssl.SSLSocket) -> x509.Certificate:
        """The one validator's check, before anything is sent; the partner's certificate."""
        leaf, *above = [load_certificate(der) for der in presented_chain(tls)[: CHAIN_MAX + 2]]
        name, now = self.call.endpoint.host, self.call.now
        verify_path(leaf, above, self.anchors, Purpose.CHANNEL_SERVER, now, server_name=name)
        return leaf

    def _exchange(self, tls: ssl.SSLSocket, ours: ChannelStatement) -> HttpMessage:
        """Our statement, its answer. With TLS 1.3 a server's refusal of our certificate arrives only now."""
        deadline, exchange = Deadline(self.clock, self.timeouts.exchange), client_exchange()
        tls.settimeout(deadline.remaining())
        with contextlib.suppress(ConnectionError):  # it may have said why it hangs up: read that
            tls.sendall(exchange.request(str(self.call.endpoint), ours.model_dump_json().encode()))
        while True:
            tls.settimeout(deadline.remaining())
            data = tls.recv(READ_SIZE)
            answer = exchange.receive(data)
            if answer is not None:
                return answer
            if not data:
                raise ConnectionResetError

    def _statement(self, answer: HttpMessage) -> ChannelStatement:
        """What it says, if it is the partner that we meant and sees our certificate."""
        call = self.call
        if isinstance(answer.head, h11.Response) and answer.head.status_code != HTTPStatus.OK:
            raise call.answered(answer.head.status_code, answer.body)
        theirs, ours = parse_statement(answer.body), fingerprint(call.ours)
        if theirs.organisation != call.partner:
            raise call.disagreement("it is another organisation", theirs.organisation, call.partner)
        if not hmac.compare_digest(theirs.sees.certificate, ours):
            raise call.disagreement("it sees another certificate than ours", theirs.sees.certificate, ours)
        return theirs

    def _looked_at_again(self, error: ssl.SSLCertVerificationError) -> AgentError:
        """Say what is wrong with the certificate, where OpenSSL says only that something is.

        The connection for this look verifies nothing, shows nothing and sends nothing; only the wording depends on it.
        """
        try:
            with self._open(looking_context()) as tls:
                tls.do_handshake()
                self._accept(tls)
        except PathError as found:
            return self.call.wrong_certificate(str(found))
        except (OSError, ProtocolError, AgentError):
            pass
        return self.call.failure(error)


def _loaded(anchors: Sequence[bytes]) -> list[x509.Certificate]:
    try:
        return [load_certificate(der) for der in anchors]
    except ProtocolError as error:
        raise StateError(f"the trust anchors pinned for the partner cannot be used: {error}") from error
