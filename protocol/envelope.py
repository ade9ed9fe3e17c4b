"""The signed message around a body: seal it, open it."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Identity:
    """An agent's message-signing identity: its key, and its certificate chain (DER) from the leaf up to and including the root."""

    key: EllipticCurvePrivateKey | Ed25519PrivateKey
    chain: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Identity({len(self.chain)} certificates)"
