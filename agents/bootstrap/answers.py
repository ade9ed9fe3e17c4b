"""What the operator of a new agent says, and whether it goes together. Left out: the worth of each answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agents.core.organisation import KeyType
from agents.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class BrokerAnswers:
    """How the agent reaches its broker, as its operator says; empty or None where that was left out."""

    url: str = ""
    user: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    virtual_host: str = ""
    """The only one of that broker, where it has no others."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the operator of a new agent says."""

    home: Path
    name: str
    title: str
    broker: BrokerAnswers = BrokerAnswers()
    endpoint: str = ""
    listen: str = ""
    key_type: str = KeyType.P256
    passphrase_file: Path | None = None
    intermediate: bool = True
    import_ca: Path | None = None
    import_passphrase_file: Path | None = None
    if_missing: bool = False
    """Whether an agent of that name in the home is fine."""


def require_sense(setup: Setup) -> None:
    """Refuse what would otherwise be passed over in silence. Raises `ConfigurationError` with the option to add."""
    for option, missing, why in _incomplete(setup):
        raise ConfigurationError(f"{option} goes with {missing}: {why}. Add {missing}, or leave {option} out.")


def _incomplete(setup: Setup) -> Iterable[tuple[str, str, str]]:
    """Each option given without the one that it goes with, that one, and what it would say."""
    broker = setup.broker
    of_a_login = {
        "--broker-user": broker.user,
        "--broker-password-file": broker.password_file,
        "--broker-ca-file": broker.ca_file,
        "--broker-certificate-file": broker.certificate_file,
        "--broker-key-file": broker.key_file,
        "--broker-virtual-host": broker.virtual_host,
    }
    if not broker.url:
        where = "it says where the broker is"
        yield from ((option, "--broker URL", where) for option, value in of_a_login.items() if value)
    if broker.certificate_file and not broker.key_file:
        yield "--broker-certificate-file", "--broker-key-file FILE", "nobody logs in with a certificate alone"
    if broker.key_file and not broker.certificate_file:
        yield "--broker-key-file", "--broker-certificate-file FILE", "nobody logs in with a key alone"
    if setup.listen and not setup.endpoint:
        yield "--listen", "--endpoint HOST:PORT", "it says where partners reach what listens there"
    if setup.import_passphrase_file and not setup.import_ca:
        yield "--import-passphrase-file", "--import-ca DIR", "it says where the keys are that it opens"
