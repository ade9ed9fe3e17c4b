"""The listening end of channels: proves that it refuses strangers, then serves on a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509

from agents.adapters.tls.context import dns_names, server_context
from agents.adapters.tls.limits import Limits
from agents.adapters.tls.reception import Reception
from agents.adapters.tls.selftest import prove_refusal
from agents.adapters.tls.serving import Serving
from agents.errors import ConfigurationError, StateError
from agents.ports import Admission, ChannelCredential, Clock, Log, SessionSink
from protocol.certificate import fingerprint
from protocol.errors import ProtocolError
from protocol.messages import Endpoint
from protocol.names import DnsName, OrganisationName
from protocol.path import load_certificate

BACKLOG = 128
"""Connections that the kernel holds until they are accepted."""

STOP_MARGIN = 5.0
"""Seconds that stopping may take beyond its grace before the thread is left to the end of the process."""

_BIND_HINTS = {
    errno.EADDRINUSE: "another program listens there; stop it, or configure another port for the channel",
    errno.EACCES: "ports below 1024 need a privilege; configure a higher port for the channel",
    errno.EADDRNOTAVAIL: "this machine has no such address; configure one of its own, or 0.0.0.0",
}


@dataclass
class TlsChannelListener:
    """Implements `agents.ports.ChannelListener`.

    `credential` is our server's. `client_anchors` and `intermediates` (DER) are those under which we issue to partners.
    `admission` and `sink` are called on other threads, several at a time.
    """

    organisation: OrganisationName
    credential: ChannelCredential
    client_anchors: Sequence[bytes]
    intermediates: Sequence[bytes]
    listen: tuple[str, int]
    admission: Admission
    sink: SessionSink
    clock: Clock
    log: Log
    limits: Limits = field(default_factory=Limits)
    _running: _Running | None = field(default=None, init=False, repr=False)

    def start(self) -> Endpoint:
        """Prove, bind, serve. The endpoint is the first DNS name of our certificate with the port that was bound.

        Raises `StateError` (credential missing, mismatched, not in force or without a name; self-test failed) or
        `ConfigurationError` (the address cannot be listened on).
        """
        context, leaf = server_context(self.credential, (*self.client_anchors, *self.intermediates))
        name = self._usable_name(leaf)
        prove_refusal(context, name, self.clock.now())
        reception = self._reception(leaf)
        sock = _bind(*self.listen)
        self._running = _Running(Serving(sock, context, reception, self.log, self.limits))
        self._running.thread.start()
        return Endpoint(host=name, port=sock.getsockname()[1])

    def close(self, grace: float) -> None:
        """Stop listening; open exchanges get `grace` seconds. Does nothing if nothing runs."""
        running, self._running = self._running, None
        if running is not None:
            running.stop(grace)

    def _usable_name(self, leaf: x509.Certificate) -> DnsName:
        start, end, now = leaf.not_valid_before_utc, leaf.not_valid_after_utc, self.clock.now()
        if not start <= now <= end:
            message = (
                f"the channel's server certificate is in force from {start} to {end}, and it is {now:%F %T} UTC now"
            )
            raise StateError(f"{message}. Make a new one, or set the clock.")
        names = dns_names(leaf)
        if not names:
            raise StateError(
                f"{self.credential.chain_path}: the server certificate carries no DNS name. Make a new one."
            )
        return DnsName(names[0])

    def _reception(self, leaf: x509.Certificate) -> Reception:
        try:
            anchors = [load_certificate(der) for der in self.client_anchors]
            intermediates = [load_certificate(der) for der in self.intermediates]
        except ProtocolError as error:
            raise StateError(f"our own CA certificates cannot be used: {error}") from error
        return Reception(
            self.organisation, fingerprint(leaf), anchors, intermediates, self.admission, self.sink, self.clock
        )


class _Running:
    """A serving loop and its thread."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="channel", daemon=True)

    def stop(self, grace: float) -> None:
        self._loop.call_soon_threadsafe(self._serving.stop, grace)
        self.thread.join(grace + STOP_MARGIN)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serving.serve())


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        hint = _BIND_HINTS.get(getattr(error, "errno", None) or 0, f"{error}; check the channel's listen address")
        raise ConfigurationError(f"cannot listen on {host}:{port}: {hint}.") from error
    sock.settimeout(0)  # for the event loop
    return sock
