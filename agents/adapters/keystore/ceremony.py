"""The ceremony of `agent init`: keys, CA, identity and channel certificate are made and tested.

Here, with the CA's key in memory, the agent's own certificates are signed, and nowhere else; for partners there is
`CaSigner`. Left out: putting the files into a home.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from agents.adapters.keystore import layout
from agents.adapters.keystore.authority import Authority, Keyed, generate, sign
from agents.adapters.keystore.imported import read_authority
from agents.core import profile
from agents.core.agreement import CLIENT_AUTH
from agents.core.organisation import OrganisationPlan
from agents.core.pem import certificates_pem, private_key_pem, public_key_der
from agents.core.profile import CertificateSpec, Profile
from agents.errors import ConfigurationError
from agents.ports import Entropy
from protocol.errors import PathError
from protocol.names import DnsName
from protocol.path import Purpose, verify_path


def organisation_files(plan: OrganisationPlan, now: datetime, entropy: Entropy) -> dict[Path, bytes]:
    """Everything that `plan` asks for, made anew: files by their paths in a home. The caller keeps them private.

    Raises `ConfigurationError` or `StateError` if a CA to be imported cannot be used.
    """
    authority = _authority(plan, now, entropy)
    return {**_authority_files(authority, plan.passphrase), **_own_files(authority, plan, now, entropy)}


def _authority(plan: OrganisationPlan, now: datetime, entropy: Entropy) -> Authority:
    authority = _imported(plan, now) if plan.import_directory else _new_root(plan, now, entropy)
    if plan.intermediate and not authority.intermediate:
        return _with_intermediate(authority, plan, now, entropy)
    return authority


def _imported(plan: OrganisationPlan, now: datetime) -> Authority:
    passphrase = plan.passphrase if plan.import_passphrase is None else plan.import_passphrase
    authority = read_authority(Path(str(plan.import_directory)), passphrase, now)
    return authority if plan.intermediate else Authority(authority.root, authority.root_key, None)


def _new_root(plan: OrganisationPlan, now: datetime, entropy: Entropy) -> Authority:
    key = generate(plan.key_type)
    spec = profile.root(plan.title, public_key_der(key.public_key()), now, issues=not plan.intermediate)
    certificate = sign(profile.build(spec, profile.Issuer.of_root(spec), entropy.serial_number()), key)
    return Authority(certificate, key, None)


def _with_intermediate(authority: Authority, plan: OrganisationPlan, now: datetime, entropy: Entropy) -> Authority:
    key = generate(plan.key_type)
    spec = profile.intermediate(plan.title, public_key_der(key.public_key()), now)
    certificate = authority.keyed_root().sign(spec, entropy.serial_number())
    return Authority(authority.root, authority.root_key, Keyed(certificate, key, authority.root))


def _authority_files(authority: Authority, passphrase: bytes) -> dict[Path, bytes]:
    contents = {layout.ROOT_CERTIFICATE: certificates_pem([authority.root])}
    if authority.root_key:
        contents[layout.ROOT_KEY] = private_key_pem(authority.root_key, passphrase)
    if authority.intermediate:
        contents[layout.ISSUING_CERTIFICATE] = certificates_pem([authority.intermediate.certificate])
        contents[layout.ISSUING_KEY] = private_key_pem(authority.intermediate.key, passphrase)
    return contents


def _own_files(authority: Authority, plan: OrganisationPlan, now: datetime, entropy: Entropy) -> dict[Path, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    spec = profile.agent_identity(plan.name, public_key_der(key.public_key()), now)
    leaf = authority.issuing().sign(spec, entropy.serial_number())
    path = _tested_path(authority, leaf, Purpose.ENVELOPE, now)
    _test_for_partners(authority, spec, now, entropy)
    contents = {layout.IDENTITY_KEY: private_key_pem(key), layout.IDENTITY_CHAIN: certificates_pem(path)}
    if plan.endpoint_host:
        contents |= _channel_files(authority, plan.endpoint_host, now, entropy)
    return contents


def _test_for_partners(authority: Authority, identity: CertificateSpec, now: datetime, entropy: Entropy) -> None:
    """Try what this CA is for, with a certificate that nobody gets. Its name is the one that just passed as the agent's
    own: which names a limited CA may certify to partners is seen when they ask."""
    spec = replace(identity, profile=Profile.CHANNEL_CLIENT, extended_key_usages=(CLIENT_AUTH,))
    _tested_path(authority, authority.issuing().sign(spec, entropy.serial_number()), Purpose.CHANNEL_CLIENT, now)


def _channel_files(authority: Authority, host: DnsName, now: datetime, entropy: Entropy) -> dict[Path, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    spec = profile.channel_server(host, public_key_der(key.public_key()), now)
    leaf = authority.issuing().sign(spec, entropy.serial_number())
    path = _tested_path(authority, leaf, Purpose.CHANNEL_SERVER, now, host)
    return {layout.CHANNEL_KEY: private_key_pem(key), layout.CHANNEL_CHAIN: certificates_pem(path[:-1])}


def _tested_path(
    authority: Authority, leaf: x509.Certificate, purpose: Purpose, now: datetime, host: DnsName | None = None
) -> tuple[x509.Certificate, ...]:
    """Look at one of our own certificates as a partner will. Returns its path, leaf to root."""
    above = [authority.intermediate.certificate] if authority.intermediate else []
    try:
        return verify_path(leaf, above, [authority.root], purpose, now, host)
    except PathError as error:
        raise ConfigurationError(
            f"partners would refuse what this CA issues for {purpose} ({error}). "
            "Use a CA without that restriction, or a new one."
        ) from error
