"""Passwords with which organisations log in to the broker: one private file each, only hashes in the definitions."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path

from agents.adapters.files import create_file, make_directory, read_private
from agents.ports import Entropy
from protocol.names import OrganisationName
from protocol.topology import SALT_BYTES, password_hash


def password_file(directory: Path, organisation: OrganisationName) -> Path:
    """Where the password of an organisation lies: the text itself, without a line feed."""
    return directory / f"{organisation}.password"


def make_passwords(
    directory: Path, organisations: Iterable[OrganisationName], entropy: Entropy
) -> dict[OrganisationName, str]:
    """The password of each organisation, made (256 random bits) and written where there is none yet.

    So the definitions can be written again for one requester more, and nobody else's password changes. Raises
    `StateError` if a file cannot be written, or can be read by other users.
    """
    make_directory(directory)
    passwords = {}
    for organisation in sorted(set(organisations)):
        path = password_file(directory, organisation)
        if not path.exists():
            create_file(path, base64.urlsafe_b64encode(entropy.secret()).rstrip(b"="))
        passwords[organisation] = read_private(path).decode().strip()
    return passwords


def hash_passwords(passwords: Mapping[OrganisationName, str], entropy: Entropy) -> dict[OrganisationName, str]:
    """A salted hash of each password, as `protocol.topology.definitions` takes them."""
    return {name: password_hash(password, entropy.secret()[:SALT_BYTES]) for name, password in passwords.items()}
