"""A broker that the environment gives by URL, with one user and one virtual host (ADR 12)."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from agents.errors import ConfigurationError
from protocol.broker import BrokerAddress
from protocol.errors import NameSyntaxError


@dataclass(frozen=True, slots=True)
class GivenUrl:
    """A broker that somebody runs, as `amqp[s]://USER:PASSWORD@HOST:PORT/VHOST`. Raises `ConfigurationError`, which
    shows no password, where its address is none."""

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            _ = self.address
        except NameSyntaxError:
            raise ConfigurationError(
                "the broker that the environment names has no usable URL: wanted "
                "amqp[s]://USER:PASSWORD@HOST:PORT/VHOST, with special characters percent-encoded."
            ) from None

    def __str__(self) -> str:
        return f"the broker at {self.address}, given by URL"

    @property
    def address(self) -> BrokerAddress:
        """Where it is."""
        return BrokerAddress(f"{self.url.partition('://')[0]}://{self._authority.rpartition('@')[2]}")

    @property
    def user(self) -> str:
        """The user that everybody has there; RabbitMQ's own, where the URL names none."""
        return unquote(self._authority.rpartition("@")[0].partition(":")[0]) or "guest"

    @property
    def password(self) -> str:
        """The password of that user."""
        return unquote(self._authority.rpartition("@")[0].partition(":")[2]) or "guest"

    @property
    def virtual_host(self) -> str:
        """The virtual host that everybody uses there."""
        return unquote(self.url.partition("://")[2].partition("/")[2].partition("?")[0]) or "/"

    @property
    def _authority(self) -> str:
        return self.url.partition("://")[2].partition("/")[0]
