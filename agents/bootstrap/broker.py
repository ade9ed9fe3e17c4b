"""A broker for trying things by hand and for demonstrations, and the definitions file for an operator's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from agents.adapters.broker import (
    BrokerChoice,
    Docker,
    DockerBroker,
    GivenUrl,
    LocalNode,
    Nothing,
    PrivateBroker,
    find_broker,
    hash_passwords,
    make_passwords,
    password_file,
)
from agents.adapters.entropy import SystemEntropy
from agents.errors import ConfigurationError
from protocol.broker import BrokerAddress
from protocol.errors import NameSyntaxError
from protocol.names import OrganisationName
from protocol.topology import definitions, virtual_host

PASSWORDS, NODE = "passwords", "node"
"""What lies in the directory of a broker of our own."""

OwnBroker = PrivateBroker | DockerBroker


@dataclass(frozen=True, slots=True)
class Login:
    """As whom and with which password one organisation enters one virtual host."""

    organisation: OrganisationName
    issuer: OrganisationName
    virtual_host: str
    password_file: Path


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker of our own that is up."""

    broker: OwnBroker
    kind: str
    address: BrokerAddress
    logins: tuple[Login, ...]


@dataclass(frozen=True, slots=True)
class Partnership:
    """Issuers, and requesters that may enroll with every one of them but themselves, or with those in `only`."""

    issuers: tuple[OrganisationName, ...]
    requesters: tuple[OrganisationName, ...]
    only: Mapping[OrganisationName, Sequence[OrganisationName]] | None = None
    """The requesters of each issuer, where not everybody enrolls with everybody."""

    @classmethod
    def parse(cls, issuers: Sequence[str], requesters: Sequence[str]) -> Partnership:
        """From words of a command line. Raises `ConfigurationError`."""
        parsed = cls(_names(issuers, "issuer"), _names(requesters, "requester"))
        if alone := [issuer for issuer, partners in parsed.partners().items() if not partners]:
            raise ConfigurationError(f"issuer {alone[0]} has no requester: name one with --requester")
        return parsed

    def partners(self) -> dict[OrganisationName, list[OrganisationName]]:
        """The requesters of each issuer."""
        if self.only is not None:
            return {issuer: list(self.only[issuer]) for issuer in self.issuers}
        return {issuer: [name for name in self.requesters if name != issuer] for issuer in self.issuers}

    def organisations(self) -> tuple[OrganisationName, ...]:
        """Everybody, once."""
        return tuple(sorted({*self.issuers, *self.requesters}))


def broker_definitions(partnership: Partnership, passwords: Path | None) -> dict[str, Any]:
    """The definitions file.

    Passwords are made in the directory `passwords` where it has none for an organisation; without a directory,
    organisations can log in with a certificate only. Raises `StateError` if a password cannot be written or read.
    """
    if passwords is None:
        return definitions(partnership.partners(), dict.fromkeys(partnership.organisations()))
    entropy = SystemEntropy()
    hashes = hash_passwords(make_passwords(passwords, partnership.organisations(), entropy), entropy)
    return definitions(partnership.partners(), dict(hashes))


@contextmanager
def running_broker(directory: Path, partnership: Partnership, port: int | None = None) -> Iterator[RunningBroker]:
    """A broker of our own with everything in `directory`; nothing of it runs afterwards.

    Raises `ConfigurationError`, with what to install, if there can be none here, and what `PrivateBroker.start` raises.
    """
    choice = find_broker({})
    passwords = directory / PASSWORDS
    with _own_broker(choice, directory, broker_definitions(partnership, passwords), port) as broker:
        address = BrokerAddress(f"amqp://localhost:{broker.port}")
        logins = (
            Login(organisation, issuer, virtual_host(issuer), password_file(passwords, organisation))
            for issuer, requesters in partnership.partners().items()
            for organisation in [issuer, *requesters]
        )
        yield RunningBroker(broker, str(choice), address, tuple(logins))


def _own_broker(choice: BrokerChoice, directory: Path, contents: dict[str, Any], port: int | None) -> OwnBroker:
    match choice:
        case LocalNode(installation):
            return PrivateBroker(directory / NODE, contents, installation, port)
        case Docker(program):
            return DockerBroker(contents, program, port)
        case Nothing() | GivenUrl():
            raise ConfigurationError(str(choice))
        case _:
            assert_never(choice)


def _names(texts: Sequence[str], kind: str) -> tuple[OrganisationName, ...]:
    try:
        return tuple(dict.fromkeys(map(OrganisationName, texts)))
    except NameSyntaxError as error:
        raise ConfigurationError(f"{kind}: {error}") from error
