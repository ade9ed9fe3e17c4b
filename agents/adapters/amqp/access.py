"""Where the broker is and how we log in, made anew into pika's parameters for every attempt.

Passwords and certificates are read each time, so that replacing a file is all that a rotation takes.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import metadata
from pathlib import Path

import pika
from pika.credentials import ExternalCredentials, PlainCredentials

from agents.errors import ConfigurationError
from protocol.broker import BrokerAddress

PASSWORD_BYTES_MAX = 1024
"""Largest password file, in bytes: more than that is some other file."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take, in seconds."""

    confirm: float = 10.0
    """From handing a message over until it counts as unknown."""
    heartbeat: int = 15
    """Half of it without traffic, and an end sends a beat; the link is lost after one to two times (this and five)."""
    connect: float = 10.0
    """TCP, then TLS and AMQP together, for one attempt."""
    blocked: float = 120.0
    """How long the broker may block publishing before we connect anew, lest the all-clear was lost."""
    first_retry: float = 0.1
    longest_retry: float = 30.0


@dataclass(frozen=True, slots=True)
class PasswordFile:
    """Reads the password from a file when called; a line end at its end does not belong to it."""

    path: Path

    def __call__(self) -> str:
        """The password now. Raises `OSError`, or `ValueError` or `ConfigurationError` if this is no password file."""
        with self.path.open("rb") as file:
            content = file.read(PASSWORD_BYTES_MAX + 1)
        if len(content) > PASSWORD_BYTES_MAX:
            raise ConfigurationError(f"{self.path} is larger than {PASSWORD_BYTES_MAX} bytes: name the password file")
        try:
            return content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise ConfigurationError(f"{self.path} is not text in UTF-8: name the password file") from None


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """PEM files with which we log in instead of a password (SASL EXTERNAL): chain, leaf first, and its key."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class BrokerAccess:
    """One virtual host of one broker, and our user there. TLS needs `authority`, the PEM file of the broker's CA.

    Raises `ConfigurationError` if that does not hold.
    """

    address: BrokerAddress
    virtual_host: str
    user: str
    login: Callable[[], str] | ClientCertificate = field(repr=False)
    authority: Path | None = None

    def __post_init__(self) -> None:
        if self.address.is_tls and self.authority is None:
            fix = "give --broker-ca-file FILE, or write ca_file under [broker] in agent.toml"
            raise ConfigurationError(f"{self.address} needs the PEM file of the CA that certifies the broker: {fix}")
        if not self.address.is_tls and (self.authority or isinstance(self.login, ClientCertificate)):
            raise ConfigurationError(
                f"a CA file and a client certificate go with TLS: write amqps:// instead of {self.address}"
            )

    def require_usable(self) -> None:
        """Raises `ConfigurationError` or `OSError` if the PEM files that TLS needs cannot be used."""
        self._context()

    def parameters(self, name: str, timing: Timing) -> pika.ConnectionParameters:
        """What pika needs for one attempt to connect; the broker's operator sees `name`.

        Raises `OSError`, `ValueError` or `ConfigurationError` if a password or PEM file cannot be used.
        """
        return pika.ConnectionParameters(
            host=self.address.host,
            port=self.address.port,
            virtual_host=self.virtual_host,
            credentials=self._credentials(),
            ssl_options=self._tls(),
            heartbeat=timing.heartbeat,
            blocked_connection_timeout=timing.blocked,
            socket_timeout=timing.connect,
            stack_timeout=2 * timing.connect,
            connection_attempts=1,
            client_properties=_client_properties() | {"connection_name": name},
        )

    def _credentials(self) -> ExternalCredentials | PlainCredentials:
        if isinstance(self.login, ClientCertificate):
            return ExternalCredentials()
        return PlainCredentials(self.user, self.login(), erase_on_connect=True)

    def _tls(self) -> pika.SSLOptions | None:
        """A new context each time: it is how a renewed certificate comes into use."""
        context = self._context()
        return pika.SSLOptions(context, self.address.host) if context else None

    def _context(self) -> ssl.SSLContext | None:
        if self.authority is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with _named(f"the broker's CA file {self.authority}", "wanted one or more certificates in PEM"):
            context.load_verify_locations(self.authority)
        if isinstance(self.login, ClientCertificate):
            chain, key = self.login.chain, self.login.key
            with _named(f"our login at the broker, {chain} with {key}", "wanted a certificate in PEM, and its own key"):
                context.load_cert_chain(chain, key, password=_no_passphrase)
        return context


@contextmanager
def _named(what: str, wanted: str) -> Iterator[None]:
    """Tell files of ours that OpenSSL cannot use from what the broker does wrong."""
    try:
        yield
    except OSError as error:  # of the disk, or of OpenSSL; neither names the file
        why = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or error
        raise ConfigurationError(f"{what} cannot be used: {wanted} ({why}).") from error


@cache
def _client_properties() -> dict[str, str]:
    """What the broker's operator reads of us (AMQP 0-9-1, `connection.start-ok`), not of the library."""
    about = metadata("apostille")
    return {"product": "Apostille", "version": about["Version"], "information": about["Summary"]}


def _no_passphrase() -> str:
    """Called for an encrypted key; OpenSSL would otherwise ask on the terminal."""
    raise ConfigurationError(
        "the key for the broker is encrypted: give an unencrypted one that only the agent can read"
    )
