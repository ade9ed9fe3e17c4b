"""What the operator of a new agent says, whether it goes together, and the `agent.toml` that comes of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from agents.adapters.amqp.access import BrokerAccess, ClientCertificate
from agents.bootstrap.given import readable, shared_secret
from agents.config.agent import FILE, parse_broker, parse_config, parse_endpoint, parse_listen
from agents.core.organisation import KeyType
from agents.errors import ConfigurationError
from protocol.broker import BrokerAddress
from protocol.names import OrganisationName


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


def config_text(setup: Setup, name: OrganisationName) -> str:
    """The text of `agent.toml`, proven to be readable. A JSON string is a TOML basic string as well.

    Raises `ConfigurationError`, also for files of a login that cannot be used.
    """
    sections: dict[str, dict[str, str]] = {"organisation": {"name": name, "title": setup.title}}
    if setup.broker.url:
        sections["broker"] = _broker_section(setup.broker)
    if setup.endpoint:
        endpoint = parse_endpoint(setup.endpoint)
        listen = setup.listen or f"127.0.0.1:{endpoint.port}"
        parse_listen(listen)
        sections["channel"] = {"endpoint": str(endpoint), "listen": listen}
    if setup.passphrase_file:
        sections["ca"] = {"passphrase_file": str(setup.passphrase_file.absolute())}
    text = "\n".join(
        f"[{title}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in pairs.items())
        for title, pairs in sections.items()
    )
    parse_config(text, FILE)
    return text


def _broker_section(broker: BrokerAnswers) -> dict[str, str]:
    wanted = {
        "password_file": (shared_secret, broker.password_file),
        "ca_file": (readable, broker.ca_file),
        "certificate_file": (readable, broker.certificate_file),
        "key_file": (shared_secret, broker.key_file),
    }
    address = parse_broker(broker.url)
    section: dict[str, str] = {"url": address}
    if broker.virtual_host:
        section["virtual_host"] = broker.virtual_host
    if broker.user:
        section["user"] = broker.user
    for key, (checked, path) in wanted.items():
        if path:
            option = f"--broker-{key.replace('_', '-')}"
            section[key] = os.path.abspath(checked(option, path))  # noqa: PTH100 - keeps links
    _access(address, section).require_usable()
    return section


def _access(address: BrokerAddress, section: dict[str, str]) -> BrokerAccess:
    """How the broker would be reached, but for the password and the virtual host."""
    path = {key: Path(section[key]) for key in ("ca_file", "certificate_file", "key_file") if key in section}
    login: Callable[[], str] | ClientCertificate = str
    if "certificate_file" in path:
        login = ClientCertificate(path["certificate_file"], path["key_file"])
    return BrokerAccess(address, "", "", login, path.get("ca_file"))
