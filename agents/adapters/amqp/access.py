"""Where the broker is and how we log in, made anew into pika's parameters for every attempt.

Passwords and certificates are read each time, so that replacing a file is all that a rotation takes.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pika
from pika.credentials import ExternalCredentials, PlainCredentials

from agents.errors import ConfigurationError

PASSWORD_BYTES_MAX = 1024
"""Largest password file, in bytes: more than that is some other file."""

_DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}


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
    """One virtual host of one broker (or cluster), and our user there.

    `url` is `amqp://` or `amqps://`, one host with optional port or several parted by commas, and the virtual host
    percent-encoded as the path; it holds no credentials. `amqps` needs `authority`, the PEM file of the broker's CA.
    Raises `ConfigurationError` if that does not hold.
    """

    url: str
    user: str
    login: Callable[[], str] | ClientCertificate = field(repr=False)
    authority: Path | None = None

    def __post_init__(self) -> None:
        _ = self.hosts
        if urlsplit(self.url).scheme == "amqps":
            if self.authority is None:
                raise ConfigurationError(f"{self.url} needs the PEM file of the CA that certifies the broker")
        elif isinstance(self.login, ClientCertificate):
            raise ConfigurationError(f"a client certificate needs TLS: write amqps:// instead of {self.url}")

    @cached_property
    def hosts(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each member of the cluster."""
        parts = urlsplit(self.url)
        if (
            parts.scheme not in _DEFAULT_PORTS
            or not parts.netloc
            or "@" in parts.netloc
            or parts.query
            or parts.fragment
        ):
            wanted = "amqp://HOST[:PORT][,HOST[:PORT]...]/VHOST or amqps://..., without user and password"
            raise ConfigurationError(f"the broker's URL is {_without_credentials(self.url)}; write {wanted}")
        return tuple(
            _host_and_port(member, _DEFAULT_PORTS[parts.scheme], self.url) for member in parts.netloc.split(",")
        )

    @cached_property
    def virtual_host(self) -> str:
        """The virtual host; `/` where the URL has no path."""
        return unquote(urlsplit(self.url).path.removeprefix("/")) or "/"

    def require_usable(self) -> None:
        """Raises `ConfigurationError` or `OSError` if the PEM files that TLS needs cannot be used."""
        self._context()

    def parameters(self, attempt: int, name: str, timing: Timing) -> pika.ConnectionParameters:
        """What pika needs for attempt number `attempt`, which decides the host; the broker's operator sees `name`.

        Raises `OSError`, `ValueError` or `ConfigurationError` if a password or PEM file cannot be used.
        """
        host, port = self.hosts[attempt % len(self.hosts)]
        return pika.ConnectionParameters(
            host=host,
            port=port,
            virtual_host=self.virtual_host,
            credentials=self._credentials(),
            ssl_options=self._tls(host),
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

    def _tls(self, host: str) -> pika.SSLOptions | None:
        """A new context each time: it is how a renewed certificate comes into use."""
        context = self._context()
        return pika.SSLOptions(context, host) if context else None

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


def _host_and_port(member: str, default: int, url: str) -> tuple[str, int]:
    parts = urlsplit(f"//{member}")
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"the port in {url} is not a number from 1 to 65535") from error
    if not parts.hostname:
        raise ConfigurationError(f"a host is missing in {url}: write HOST or HOST:PORT")
    return parts.hostname, port or default


def _without_credentials(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}***@{rest.rpartition('@')[2]}" if "@" in rest else url


def _no_passphrase() -> str:
    """Called for an encrypted key; OpenSSL would otherwise ask on the terminal."""
    raise ConfigurationError(
        "the key for the broker is encrypted: give an unencrypted one that only the agent can read"
    )
