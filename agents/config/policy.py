"""Policy files, `partners/<name>.toml`: read one, parse its text, write the one that an invitation starts from."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agents.config.explaining import explain
from agents.config.policy_file import PolicyFile
from agents.config.reading import read_text
from agents.core.agreement import Policy
from agents.core.patterns import parse_pattern
from agents.errors import ConfigurationError
from protocol.csr import NameKind
from protocol.errors import NameSyntaxError
from protocol.names import OrganisationName

FILE_MAX = 65_536
"""Largest policy file, in bytes."""

_TEXT = """\
# What {partner} may have certified by us. Whatever is not allowed here is refused; an empty list allows nothing.
# Without this file {partner} is shut out: its requests are refused, and its certificates at our channel.
# Try a request against this file:  agent policy check REQUEST.pem --policy {partner}.toml

# "automatic": what every rule allows is issued at once. "manual": a person must approve it.
approval = "automatic"

# Purposes: "clientAuth", which the channel needs; "serverAuth" if this partner also runs TLS servers under our root.
extended_key_usages = ["clientAuth"]

[names]
# "a.example" is that name, "*.a.example" exactly one label more, "**.a.example" one or more labels more.
# No pattern allows a wildcard in a request.
dns = [{patterns}]
# Whole names only. URIs are compared octet by octet, e-mail addresses exactly but for the case of the domain.
uri = []
email = []
ip = []
# Most names in one certificate.
maximum = 10

[subject]
# A common name must repeat one of the DNS names. "absent": it is left out; "dns-name": it is taken over.
common_name = "absent"
# Attributes that are taken over as asked, of: countryName, stateOrProvinceName, localityName, organizationName,
# organizationalUnitName, serialNumber. Nobody has checked what they say; others are left out.
take = []

[subject.stamp]
# Attributes that every certificate gets, whatever was asked for. For example:
# organizationName = "{partner}"

[keys]
# Of "P-256", "P-384", "P-521", "Ed25519", "RSA".
kinds = ["P-256", "P-384", "Ed25519", "RSA"]
# Least size of RSA keys, in bits; `openssl req` makes 2048 unless told otherwise.
rsa_minimum = 2048
# May a key that already has a certificate get another? "same-partner": its holder may ask again. "never": it may not.
# A key of one partner is never certified for another.
reuse = "same-partner"

[request]
# Hashes in the signature of the request. Ed25519 has its own and is allowed as a kind of key.
hashes = ["SHA-256", "SHA-384", "SHA-512"]
# Largest request, in bytes of DER.
maximum_bytes = 8192

[lifetime]
# A number and d, h, m or s. Who asks for more than the maximum gets the maximum.
default = "30d"
maximum = "90d"
"""


def parse_policy(text: str, source: str) -> Policy:
    """The policy that `text` (TOML) says. `source` names it in errors.

    Raises `ConfigurationError` with every fault: the key, what was got, what is allowed; for an unknown key the
    nearest known one.
    """
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source} is not valid TOML: {error}. Mend it at that place.") from None
    try:
        return PolicyFile.model_validate(data).to_policy()
    except ValidationError as error:
        raise ConfigurationError(explain(error, PolicyFile, source)) from None


def load_policy(path: Path) -> Policy:
    """The policy in the file at `path`. Raises `ConfigurationError`, also if it cannot be read or is too large."""
    return parse_policy(read_text(path, FILE_MAX), str(path))


def default_policy_text(partner: OrganisationName, dns_patterns: Sequence[str]) -> str:
    """A commented policy file that allows `partner` names under these patterns, and otherwise holds the defaults.

    Raises `ConfigurationError` for a pattern that is none.
    """
    patterns = ", ".join(f'"{_canonical(text)}"' for text in dns_patterns)
    return _TEXT.format(partner=partner, patterns=patterns)


def _canonical(text: str) -> str:
    """The pattern in characters that need no escaping in TOML."""
    try:
        return str(parse_pattern(NameKind.DNS, text))
    except NameSyntaxError as error:
        raise ConfigurationError(
            f"DNS pattern '{error.problems[0].got.strip(chr(39))}': wanted NAME, *.NAME (one label more) or **.NAME "
            f"(one or more labels more), with NAME in {error.problems[0].allowed}"
        ) from None
