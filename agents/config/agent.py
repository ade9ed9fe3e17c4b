"""The agent's own configuration, `agent.toml` in its home: text to a validated, frozen type.

Paths in the file are relative to the home. Nothing secret stands in it, only where secrets lie.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agents.config.explaining import explain
from agents.config.reading import at_most, read_duration, read_text
from agents.errors import ConfigurationError
from protocol.broker import BrokerAddress
from protocol.errors import NameSyntaxError
from protocol.messages import Endpoint
from protocol.names import DnsName, OrganisationName
from protocol.topology import virtual_host

FILE = "agent.toml"
SIZE_MAX = 65_536


def parse_endpoint(text: str) -> Endpoint:
    """`host:port` as partners dial it. Raises `ConfigurationError`."""
    host, _, port = text.rpartition(":")
    try:
        return Endpoint(host=DnsName(host), port=int(port))
    except (NameSyntaxError, ValidationError, ValueError):
        raise ConfigurationError(
            f"endpoint '{text}': wanted NAME:PORT with a DNS name that the channel's certificate can carry, "
            "for example localhost:8443 or channel.client-c.example:8443"
        ) from None


def parse_listen(text: str) -> tuple[str, int]:
    """`address:port` to listen on; port 0 lets the system choose. Raises `ConfigurationError`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - TCP's last port
        raise ConfigurationError(f"listen '{text}': wanted ADDRESS:PORT, for example 127.0.0.1:8443 or 0.0.0.0:8443")
    return host.strip("[]"), int(port)


def parse_broker(text: str) -> BrokerAddress:
    """Where the broker is. Raises `ConfigurationError`, which shows no password."""
    try:
        return BrokerAddress(text)
    except NameSyntaxError as error:
        (found,) = error.problems
        raise ConfigurationError(
            f"broker URL: wanted {found.allowed} (the user goes into --broker-user, the password into a file, "
            f"--broker-password-file), got {found.got}"
        ) from None


def _in_the_file(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    """`parse` for a value in the file: of a `ValueError` pydantic says the key as well."""

    def parse_value(value: Any) -> Any:
        try:
            return parse(str(value))
        except ConfigurationError as error:
            raise ValueError(str(error)) from None

    return parse_value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Organisation(_Section):
    """Who we are."""

    name: OrganisationName
    title: Annotated[str, Field(min_length=1, max_length=64)]


class Broker(_Section):
    """How we reach the message broker. Each issuer has a virtual host of its own there; `virtual_host` names the only
    one of a broker that has no others."""

    url: Annotated[BrokerAddress, BeforeValidator(_in_the_file(parse_broker))]
    virtual_host: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    user: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None

    def virtual_host_of(self, issuer: OrganisationName) -> str:
        """The virtual host through which organisations enroll with `issuer`."""
        return self.virtual_host or virtual_host(issuer)


class Channel(_Section):
    """Where partners reach our channel, and where we listen for them."""

    endpoint: Annotated[Endpoint, BeforeValidator(_in_the_file(parse_endpoint))]
    listen: Annotated[str, AfterValidator(_in_the_file(lambda value: parse_listen(value) and value))]


class Authority(_Section):
    """Where the passphrase of the CA keys lies."""

    passphrase_file: str = "ca/passphrase"  # noqa: S105 - a path


class Issuing(_Section):
    """How we issue. Certificates that nobody confirms within `confirm_within` are withdrawn. `processes` is how many
    work on the queue at once; more than there are processors is of no use."""

    confirm_within: Annotated[
        timedelta, BeforeValidator(read_duration), AfterValidator(at_most(timedelta(days=366)))
    ] = timedelta(hours=1)
    processes: Annotated[int, Field(ge=1, le=64)] = 1


class Ledger(_Section):
    """Where the ledger is: a file in the home, or a PostgreSQL URL where several issuers share one."""

    url: str = "ledger.sqlite"


class AgentConfig(_Section):
    """The whole file."""

    organisation: Organisation
    broker: Broker | None = None
    brokers: dict[OrganisationName, Broker] = {}
    channel: Channel | None = None
    ca: Authority = Authority()
    issuing: Issuing = Issuing()
    ledger: Ledger = Ledger()

    def broker_for(self, issuer: OrganisationName) -> Broker | None:
        """How we reach the broker of one issuer: its own section if there is one, else the common one."""
        return self.brokers.get(issuer, self.broker)


def parse_config(text: str, source: str) -> AgentConfig:
    """Parse `agent.toml`. Raises `ConfigurationError` that names the key, what was got and what is allowed."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{source} is not valid TOML: {error}") from None
    try:
        return AgentConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(explain(error, AgentConfig, source)) from None


def load_config(home: Path) -> AgentConfig:
    """Read the configuration of the agent in `home`. Raises `ConfigurationError`, also where there is no agent."""
    path = home / FILE
    if not path.exists():
        raise ConfigurationError(
            f"no agent in {home}: {FILE} is not there. "
            "Make one with `agent init`, or name another with --home or AGENT_HOME."
        )
    return parse_config(read_text(path, SIZE_MAX), str(path))
