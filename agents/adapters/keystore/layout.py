"""Where the organisation's keys and certificates lie, relative to the home."""

from __future__ import annotations

from pathlib import Path

CA = Path("ca")
IDENTITY = Path("identity")
CHANNEL = Path("channel")

ROOT_KEY = CA / "root.key.pem"
"""Encrypted. Absent if the root's key is kept elsewhere and an intermediate issues."""
ROOT_CERTIFICATE = CA / "root.cert.pem"
ISSUING_KEY = CA / "issuing.key.pem"
"""Encrypted. Absent if the root itself issues."""
ISSUING_CERTIFICATE = CA / "issuing.cert.pem"

IDENTITY_KEY = IDENTITY / "key.pem"
IDENTITY_CHAIN = IDENTITY / "chain.pem"
"""From the leaf up to and including the root, as an envelope carries it."""

CHANNEL_KEY = CHANNEL / "key.pem"
CHANNEL_CHAIN = CHANNEL / "fullchain.pem"
"""From the leaf up, without the root, as TLS servers want it."""
