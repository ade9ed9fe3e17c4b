"""Two organisations with real certificates and a channel between them on the loopback interface."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from kit.patience import PATIENCE
from kit.pki import Authority, Holder

from agents.adapters.clock import SystemClock
from agents.adapters.tls import Limits, Timeouts, TlsChannelDialer, TlsChannelListener
from agents.core.admission import IssuedFacts, admit
from agents.ports import ChannelCredential, ChannelReport
from protocol.messages import ChannelStatement, Endpoint, PeerView
from protocol.names import DnsName, OrganisationName

ISSUER, PARTNER = OrganisationName("client-c"), OrganisationName("client-b")
HOST = "localhost"

PATIENT = Timeouts(connect=PATIENCE, handshake=PATIENCE, exchange=PATIENCE)
GENEROUS = Limits(handshake=PATIENCE, first_request=PATIENCE, exchange=PATIENCE)


class RecordingLog:
    """Implements `agents.ports.Log`: keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def debug(self, event: str, **fields: object) -> None:
        self.lines.append(("debug", event, fields))

    def info(self, event: str, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: object) -> None:
        self.lines.append(("error", event, fields))

    def reasons(self, event: str) -> list[str]:
        return [str(fields.get("why")) for _, said, fields in self.lines if said == event]


@dataclass
class Books:
    """The issuer's records, in memory: the pure decision of `agents.core.admission` over a dictionary."""

    records: dict[int, IssuedFacts] = field(default_factory=dict)
    sessions: list[tuple[ChannelStatement | None, PeerView, OrganisationName]] = field(default_factory=list)
    fault: Exception | None = None

    def record(self, holder: Holder, revoked_at: datetime | None = None) -> None:
        certificate = holder.certificate
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        facts = IssuedFacts(ISSUER, PARTNER, holder.der, start, end, revoked_at)
        self.records[certificate.serial_number] = facts

    def admission(self, leaf: bytes) -> OrganisationName:
        if self.fault:
            raise self.fault
        serial = x509.load_der_x509_certificate(leaf).serial_number
        return admit(ISSUER, self.records.get(serial), leaf, SystemClock().now(), agreed=True)

    def sink(self, statement: ChannelStatement | None, seen: PeerView, partner: OrganisationName) -> None:
        self.sessions.append((statement, seen, partner))


@dataclass
class World:
    """The issuer with its CA and listener, and what tests need to visit it."""

    directory: Path
    authority: Authority = field(default_factory=lambda: Authority("client-c"))
    books: Books = field(default_factory=Books)
    log: RecordingLog = field(default_factory=RecordingLog)
    files: dict[Holder, ChannelCredential] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.server = self.authority.server(HOST)
        self.client = self.recorded(self.authority.client("api.client-b.example"))

    def recorded(self, holder: Holder) -> Holder:
        self.books.record(holder)
        return holder

    def credential(self, holder: Holder) -> ChannelCredential:
        """The files of a holder, written once: dialling threads read them."""
        with self.lock:
            if holder not in self.files:
                self.files[holder] = ChannelCredential(*holder.write(self.directory, f"holder-{len(self.files)}"))
            return self.files[holder]

    @property
    def anchors(self) -> tuple[bytes, ...]:
        return (self.authority.root.der,)

    def listener(self, server: Holder | None = None, port: int = 0, limits: Limits | None = None) -> TlsChannelListener:
        return TlsChannelListener(
            organisation=ISSUER,
            credential=self.credential(server or self.server),
            client_anchors=self.anchors,
            intermediates=(self.authority.issuing.der,),
            listen=("127.0.0.1", port),
            admission=self.books.admission,
            sink=self.books.sink,
            clock=SystemClock(),
            log=self.log,
            limits=limits or GENEROUS,
        )

    @contextlib.contextmanager
    def listening(self, server: Holder | None = None, limits: Limits | None = None) -> Iterator[Endpoint]:
        listener = self.listener(server, limits=limits)
        endpoint = listener.start()
        try:
            yield endpoint
        finally:
            listener.close(grace=0.2)

    def dial(self, endpoint: Endpoint, holder: Holder | None = None, **changes) -> ChannelReport:
        """Dial as the partner, with changes to the arguments of the port."""
        arguments = {
            "endpoint": endpoint,
            "credential": self.credential(holder or self.client),
            "anchors": self.anchors,
            "us": PARTNER,
            "partner": ISSUER,
            "now": SystemClock().now(),
        }
        timeouts = changes.pop("timeouts", PATIENT)
        return TlsChannelDialer(SystemClock(), timeouts).dial(**(arguments | changes))


def visitor(world: World, holder: Holder | None) -> ssl.SSLContext:
    """The TLS context of a client that tests steer by hand; it trusts the issuer and shows `holder`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=b"".join(world.anchors))
    context.set_alpn_protocols(["http/1.1"])
    if holder is not None:
        context.load_cert_chain(*holder.write(world.directory, f"{holder.certificate.serial_number:x}"))
    return context


def visit(endpoint: Endpoint, context: ssl.SSLContext, said: bytes = b"", name: str | None = HOST) -> bytes:
    """Everything that the listener says to a client that says `said` and then waits."""
    sock = socket.create_connection(("127.0.0.1", endpoint.port), timeout=PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with context.wrap_socket(sock, server_hostname=name) as tls:
        tls.sendall(said)
        return b"".join(iter(lambda: tls.recv(4096), b""))


@contextlib.contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[Endpoint]:
    """A server of another kind: `handle` is called with each connection, on one thread; errors end that connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stopping = threading.Event()

        def run() -> None:
            while True:
                sock, _ = listening.accept()
                with sock, contextlib.suppress(OSError):
                    if stopping.is_set():
                        return
                    handle(sock)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield Endpoint(host=DnsName(HOST), port=listening.getsockname()[1])
        finally:
            stopping.set()
            socket.create_connection(listening.getsockname()).close()
            thread.join()
