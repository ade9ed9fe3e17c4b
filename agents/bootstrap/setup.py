"""Makes a new agent: CA, identity, channel certificate, ledger and configuration file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agents.adapters import files
from agents.adapters.clock import SystemClock
from agents.adapters.entropy import SystemEntropy
from agents.adapters.home import finish_home, new_home
from agents.adapters.keystore import organisation_files, trust_bundle, without_key_usage
from agents.adapters.ledger import open_ledger
from agents.bootstrap.configuring import BrokerAnswers, Setup, config_text, require_sense
from agents.bootstrap.given import named, private
from agents.config.agent import FILE, load_config, parse_endpoint
from agents.core.organisation import KeyType, OrganisationPlan
from agents.errors import ConfigurationError
from protocol.names import Fingerprint, OrganisationName

__all__ = ["BrokerAnswers", "Made", "Setup", "set_up"]

LEDGER, PASSPHRASE = Path("ledger.sqlite"), Path("ca", "passphrase")
"""Where a new home has its ledger, and its passphrase unless that lies elsewhere."""


@dataclass(frozen=True, slots=True)
class Made:
    """What there is now. `root` is the SHA-256 of the root certificate; `warnings` are for its operator."""

    name: OrganisationName
    home: Path
    root: Fingerprint
    warnings: tuple[str, ...] = ()


def set_up(setup: Setup) -> Made:
    """Make the agent: all of it or nothing. Everything that was said is checked before anything is written.

    What a crash kept from being put in place is put there first, as its own operator wanted it. Raises
    `ConfigurationError` for what cannot be used, also a home that has an agent; `StateError` for a disk fault.
    """
    require_sense(setup)
    name = named("--name", setup.name, OrganisationName)
    finish_home(setup.home, FILE)
    if (setup.home / FILE).exists():
        return _already_there(setup, name)
    contents = _contents(setup, name)
    with new_home(setup.home, FILE) as staging:
        files.create_files(staging, contents)
        open_ledger(str(staging / LEDGER), create=True).close()
    return Made(name, setup.home, Fingerprint.of(trust_bundle(setup.home)[0]), tuple(_warnings(setup.home)))


def _warnings(home: Path) -> Iterable[str]:
    """Of a CA that was imported: ours says what its keys are for (RFC 5280 section 4.2.1.3)."""
    if silent := without_key_usage(home):
        yield (
            f"the CA certificate {' and '.join(silent)} has no key usage. Agents accept it; strict validators, for "
            "example `openssl verify -x509_strict`, will refuse every certificate under it. If that matters, make it "
            "anew with -addext keyUsage=critical,keyCertSign,cRLSign, and import that into a new home."
        )


def _contents(setup: Setup, name: OrganisationName) -> dict[Path, bytes]:
    """Every file of the new home but the ledger."""
    passphrase = _passphrase(setup)
    text = config_text(setup, name)
    contents = organisation_files(_plan(setup, name, passphrase), SystemClock().now(), SystemEntropy())
    if setup.passphrase_file is None:
        contents[PASSPHRASE] = passphrase + b"\n"
    return {**contents, Path(FILE): text.encode()}


def _already_there(setup: Setup, name: OrganisationName) -> Made:
    there = load_config(setup.home).organisation.name
    if not setup.if_missing or there != name:
        raise ConfigurationError(
            f"{setup.home} has the agent {there} already. Edit {setup.home / FILE} to change its settings, "
            "or choose another --home."
        )
    return Made(name, setup.home, Fingerprint.of(trust_bundle(setup.home)[0]))


def _passphrase(setup: Setup) -> bytes:
    if setup.passphrase_file is None:
        return SystemEntropy().secret().hex().encode()
    return private("--passphrase-file", setup.passphrase_file).rstrip(b"\r\n")


def _plan(setup: Setup, name: OrganisationName, passphrase: bytes) -> OrganisationPlan:
    imported = None
    if setup.import_passphrase_file:
        imported = private("--import-passphrase-file", setup.import_passphrase_file).rstrip(b"\r\n")
    if setup.import_ca:
        files.given("--import-ca", setup.import_ca, os.path.isdir)
    return OrganisationPlan(
        name=name,
        title=setup.title,
        passphrase=passphrase,
        key_type=_key_type(setup.key_type),
        intermediate=setup.intermediate,
        endpoint_host=parse_endpoint(setup.endpoint).host if setup.endpoint else None,
        import_directory=str(setup.import_ca) if setup.import_ca else None,
        import_passphrase=imported,
    )


def _key_type(text: str) -> KeyType:
    try:
        return KeyType(text.lower())
    except ValueError:
        raise ConfigurationError(f"--key-type '{text}': wanted one of {', '.join(KeyType)}.") from None
