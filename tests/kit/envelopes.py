"""Organisations that seal messages, and envelopes with any fault that a test asks for."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from kit.certificates import NOW, Forged, forge_ca, forge_leaf

from protocol.envelope import Identity, KnownSigners, Opened, Sealer, open_envelope
from protocol.messages import EnrollmentRequest, Message
from protocol.names import OrganisationName, TransactionId, agent_uri
from protocol.path import KP_JWT

TRANSACTION = TransactionId("01900000-0000-7000-8000-000000000001")
B, C, D = OrganisationName("client-b"), OrganisationName("client-c"), OrganisationName("client-d")


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True)
class Organisation:
    """A root, the CA below it, and an agent identity."""

    name: OrganisationName
    root: Forged
    issuing: Forged
    identity: Forged

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        return self.identity.certificate, self.issuing.certificate, self.root.certificate

    @property
    def sealer(self) -> Sealer:
        return Sealer(Identity(self.identity.key, tuple(map(der, self.chain))))

    def seal(self, recipient: OrganisationName, **changes: Any) -> bytes:
        """An envelope from this organisation, with changes to the message."""
        return self.sealer.seal(message(**{"sender": self.name, "recipient": recipient, **changes}))

    def open(
        self, data: bytes, *known: Organisation, now: datetime = NOW, signers: KnownSigners | None = None
    ) -> Opened:
        """Open as this organisation, which has pinned the roots of `known`."""
        anchors = {one.name: (one.root.certificate,) for one in known}
        return open_envelope(
            data,
            anchors_of=lambda name: anchors.get(name, ()),
            recipient=self.name,
            now=now,
            signers=signers or KnownSigners(),
        )


def organisation(name: OrganisationName, **identity: Any) -> Organisation:
    """An organisation with new keys; `identity` changes the certificate that seals."""
    root = forge_ca(f"{name} root")
    issuing = forge_ca(f"{name} issuing", root, path_length=0)
    return Organisation(name, root, issuing, agent_of(name, issuing, **identity))


def agent_of(name: OrganisationName, issuing: Forged, **changes: Any) -> Forged:
    """An agent identity of `name` below `issuing`."""
    uri = x509.UniformResourceIdentifier(agent_uri(name))
    settings = {"purposes": [KP_JWT], "names": [uri], **changes}
    return forge_leaf(issuing, settings.pop("purposes"), settings.pop("names"), **settings)


def message(**changes: Any) -> Message:
    """An enrollment request from B to C, sent now and good for an hour."""
    parts: dict[str, Any] = {
        "sender": B,
        "recipient": C,
        "transaction": TRANSACTION,
        "issued_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        "body": EnrollmentRequest(csr=b"request"),
    }
    return Message(**(parts | changes))


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header_of(sender: Organisation, **changes: Any) -> dict[str, Any]:
    """A protected header as `sender` writes it; a None leaves a member out."""
    x5c = [base64.b64encode(der(one)).decode() for one in sender.chain]
    header = {"alg": "ES256", "typ": "apostille+json", "x5c": x5c, **changes}
    return {name: value for name, value in header.items() if value is not None}


def forge_envelope(key: object, header: dict[str, Any] | bytes, payload: bytes, /, **changes: Any) -> bytes:
    """An envelope whose signature by `key` is good whatever the header says; `changes` replace or add members."""
    protected = encode(header if isinstance(header, bytes) else json.dumps(header).encode())
    signature = sign(key, f"{protected}.{encode(payload)}".encode())
    parts = {"payload": encode(payload), "protected": protected, "signature": encode(signature), **changes}
    return json.dumps({name: value for name, value in parts.items() if value is not None}).encode()


def sign(key: object, data: bytes) -> bytes:
    """As RFC 7518 section 3.4 and RFC 8037 section 3.1 have it."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    digest = hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA256()
    octets = (key.curve.key_size + 7) // 8
    return b"".join(part.to_bytes(octets) for part in decode_dss_signature(key.sign(data, ec.ECDSA(digest))))
