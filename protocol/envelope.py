"""The signed message around a body: a JWS (RFC 7515, flattened JSON) with the sender's certificate chain in `x5c`.

`Sealer` makes one. Opening is three explicit stages, because each needs something else from the caller: `unseal`
(bytes alone), `KnownSigners.signer` (the claimed sender's trust anchors), `read` (who we are). `open_envelope` runs
them all. Who may send what, and whether a transaction is known, is for the caller to judge.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry

from protocol.errors import EnvelopeError, ProblemCode, problem
from protocol.messages import CERTIFICATE_MAX, CHAIN_MAX, Message, parse_message
from protocol.names import Fingerprint, OrganisationName
from protocol.path import Purpose, agent_organisation, load_certificate, verify_path

ENVELOPE_MAX = 262_144
"""Largest envelope in bytes; the broker's `max_message_size` is the same."""

CLOCK_SKEW_MAX = timedelta(minutes=5)
"""How far two clocks may differ; certificates are backdated by as much."""

LIFETIME_MAX = timedelta(days=30)
"""Longest time between `issued_at` and `expires_at`."""

ALGORITHMS = ("ES256", "ES384", "EdDSA")
"""JWS algorithms (RFC 7518 section 3.1, RFC 8037) that are accepted and made; each fits one kind of key."""

KNOWN_SIGNERS_MAX = 4096
"""Verified signers that are kept, so that a known agent costs one signature check a message."""

TYPE = "apostille+json"

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384"}
_JWS = JWSRegistry(algorithms=ALGORITHMS)
_JWS.max_header_length = 2 * CHAIN_MAX * CERTIFICATE_MAX
_JWS.max_payload_length = ENVELOPE_MAX


@dataclass(frozen=True, slots=True)
class Identity:
    """An agent's message-signing identity: key, and chain (DER) from the leaf up to and including the root."""

    key: EllipticCurvePrivateKey | Ed25519PrivateKey
    chain: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Identity({len(self.chain)} certificates)"


class Sealer:
    """Seals with one identity. Keeps what every message needs: the key as JOSE wants it, and the header."""

    def __init__(self, identity: Identity) -> None:
        pem = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._key: ECKey | OKPKey
        if isinstance(identity.key, Ed25519PrivateKey):
            algorithm, self._key = "EdDSA", OKPKey.import_key(pem)
        else:
            algorithm, self._key = _CURVES[identity.key.curve.name], ECKey.import_key(pem)
        x5c = [base64.b64encode(der).decode() for der in identity.chain]
        self._header: jws.HeaderDict = {"protected": {"alg": algorithm, "typ": TYPE, "x5c": x5c}}

    def seal(self, message: Message) -> bytes:
        """The envelope's exact bytes. Raises `EnvelopeError` if they would be too large to be accepted."""
        sealed = jws.serialize_json(self._header, message.model_dump_json(), self._key, registry=_JWS)
        data = json.dumps(sealed, separators=(",", ":")).encode()
        _check_size(data)
        return data


@dataclass(frozen=True, slots=True)
class Unsealed:
    """An envelope of which nothing is proven yet: its parts, and who it claims to be from."""

    digest: Fingerprint
    """SHA-256 of the envelope's bytes: what a reply refers to."""
    claimed: OrganisationName
    algorithm: str
    chain: tuple[x509.Certificate, ...]
    jws: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Signer:
    """An agent whose certificate path has been verified, and the times between which that verification holds."""

    organisation: OrganisationName
    root: bytes
    key: ECKey | OKPKey
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A message whose signature and path hold. `introduced` means that the path leads to a root that the sender shows
    and nobody here has pinned: the message may be answered, but only an invitation's proof makes it trustworthy."""

    message: Message
    digest: Fingerprint
    root: bytes
    introduced: bool


AnchorsOf = Callable[[OrganisationName], Sequence[x509.Certificate]]
"""The trust anchors pinned for one organisation; empty for a stranger."""


def open_envelope(
    data: bytes, *, anchors_of: AnchorsOf, recipient: OrganisationName, now: datetime, signers: KnownSigners
) -> Opened:
    """Open an envelope, in this order: (1) size, (2) structure, (3) algorithm, (4) claimed sender, (5) path to that
    sender's anchors at `now` (or to the root that it shows itself: `introduced`), (6) leaf purpose and URI name,
    (7) signature over the received bytes, (8) parse, (9) sender and recipient, (10) times.

    Raises `EnvelopeError`, `PathError` or `MessageError`, all `ProtocolError`.

    The caller still owes: the invitation's proof if `introduced`; whether the transaction is known; the digest.
    """
    unsealed = unseal(data)
    anchors = tuple(anchors_of(unsealed.claimed))
    introduced = unsealed.chain[-1] not in anchors
    signer = signers.signer(unsealed, unsealed.chain[-1:] if introduced else anchors, now)
    message = read(unsealed, signer, recipient, now)
    return Opened(message, unsealed.digest, signer.root, introduced)


def unseal(data: bytes) -> Unsealed:
    """Steps 1 to 4, from the bytes alone. Raises `EnvelopeError` or `PathError`."""
    _check_size(data)
    envelope = _object(data, "envelope", {"payload", "protected", "signature"})
    if not all(isinstance(part, str) for part in envelope.values()):
        _malformed("parts that are not text", "payload, protected and signature as base64url text")
    header = _object(_decode(envelope["protected"], "protected header"), "protected header", {"alg", "typ", "x5c"})
    algorithm = _checked_algorithm(header)
    chain = _chain(header["x5c"])
    return Unsealed(Fingerprint.of(data), agent_organisation(chain[0]), algorithm, chain, envelope)


def read(unsealed: Unsealed, signer: Signer, recipient: OrganisationName, now: datetime) -> Message:
    """Steps 7 to 10. Raises `EnvelopeError` or `MessageError`."""
    message = parse_message(_verified_payload(unsealed, signer))
    if message.sender != signer.organisation:
        allowed = f"{signer.organisation}, whose certificate signed it"
        _refuse(ProblemCode.SIGNER_NOT_TRUSTED, "sender", message.sender, allowed, "Seal messages as yourself only.")
    if message.recipient != recipient:
        fix = "Check which issuer the invitation came from and which queue the message was sent to."
        _refuse(ProblemCode.WRONG_AUTHORITY, "recipient", message.recipient, str(recipient), fix)
    _check_times(message, now)
    return message


def reread(data: bytes) -> Message:
    """The message in an envelope from our own ledger, sealed here or opened before it was kept. Verifies nothing."""
    envelope = _object(data, "envelope", {"payload", "protected", "signature"})
    return parse_message(_decode(envelope["payload"], "payload"))


class KnownSigners:
    """Verified signers by chain and anchors, bounded: a memory of `verify_path`, which stays pure."""

    def __init__(self, limit: int = KNOWN_SIGNERS_MAX) -> None:
        self._limit = limit
        self._signers: dict[tuple[object, ...], Signer] = {}

    def signer(self, unsealed: Unsealed, anchors: Sequence[x509.Certificate], now: datetime) -> Signer:
        """Steps 5 and 6: the signer of an envelope, its path verified to one of `anchors`. Raises `PathError`."""
        key = (unsealed.chain, tuple(anchors))
        known = self._signers.get(key)
        if known is not None and known.valid_from <= now < known.valid_until:
            return known
        signer = _verify_signer(unsealed, anchors, now)
        if len(self._signers) >= self._limit:
            self._signers.pop(next(iter(self._signers)), None)
        self._signers[key] = signer
        return signer


def _verify_signer(unsealed: Unsealed, anchors: Sequence[x509.Certificate], now: datetime) -> Signer:
    leaf, *others = unsealed.chain
    path = verify_path(leaf, others, anchors, Purpose.ENVELOPE, now)
    return Signer(
        organisation=unsealed.claimed,
        root=path[-1].public_bytes(Encoding.DER),
        key=_jose_key(leaf),
        valid_from=max(certificate.not_valid_before_utc for certificate in path),
        valid_until=min(certificate.not_valid_after_utc for certificate in path),
    )


def _jose_key(leaf: x509.Certificate) -> ECKey | OKPKey:
    public = leaf.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(public, Ed25519PublicKey):
        return OKPKey.import_key(pem)
    if isinstance(public, EllipticCurvePublicKey) and public.curve.name in _CURVES:
        return ECKey.import_key(pem)
    fix = "Use an agent identity with a P-256, P-384 or Ed25519 key."
    return _refuse(ProblemCode.BAD_ALG, "x5c", "an agent identity with another kind of key", _ALLOWED, fix)


def _verified_payload(unsealed: Unsealed, signer: Signer) -> bytes:
    try:
        verified = jws.deserialize_json(unsealed.jws, signer.key, registry=_JWS)  # type: ignore[call-overload]
    except (JoseError, ValueError, TypeError):
        fix = "The message was changed on its way or signed with another key; check the agent identity at the sender."
        got = "a signature that does not verify"
        _refuse(ProblemCode.BAD_MESSAGE_CHECK, "signature", got, f"{signer.organisation}'s signature", fix)
    payload: bytes = verified.payload
    return payload


def _check_size(data: bytes) -> None:
    if len(data) > ENVELOPE_MAX:
        fix = "Ask for fewer names or send a shorter chain."
        _refuse(ProblemCode.BAD_DATA_FORMAT, "envelope", f"{len(data)} bytes", f"at most {ENVELOPE_MAX} bytes", fix)


def _object(data: bytes, what: str, keys: set[str]) -> dict[str, Any]:
    """A JSON object with exactly these keys, none of them twice."""
    try:
        pairs = json.loads(data, object_pairs_hook=list)
    except (ValueError, RecursionError):
        _malformed(f"a {what} that is not JSON", "a JSON object")
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        _malformed(f"a {what} that is not a JSON object", "a JSON object")
    found = [pair[0] for pair in pairs]
    if len(found) != len(keys) or set(found) != keys:
        _malformed(f"a {what} with the members {', '.join(found[:8]) or 'none'}", f"exactly {', '.join(sorted(keys))}")
    return dict(pairs)


def _decode(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        _malformed(f"a {what} that is not base64url", "base64url without padding (RFC 7515 section 2)")


def _checked_algorithm(header: dict[str, Any]) -> str:
    algorithm = header["alg"]
    if algorithm not in ALGORITHMS or header["typ"] != TYPE:
        fix = "Use an agent identity with a P-256, P-384 or Ed25519 key."
        _refuse(ProblemCode.BAD_ALG, "protected header", f"alg {algorithm}, typ {header['typ']}", _ALLOWED, fix)
    return str(algorithm)


_ALLOWED = f"typ {TYPE} and alg one of {', '.join(ALGORITHMS)}"


def _chain(x5c: object) -> tuple[x509.Certificate, ...]:
    """The certificates of RFC 7515 section 4.1.6: standard base64, leaf first."""
    if not isinstance(x5c, list) or not 1 < len(x5c) <= CHAIN_MAX or not all(isinstance(item, str) for item in x5c):
        _malformed("an x5c of another form", f"2 to {CHAIN_MAX} certificates, from the agent's to the root, in base64")
    return _load_chain(tuple(x5c))


@lru_cache(maxsize=KNOWN_SIGNERS_MAX)
def _load_chain(x5c: tuple[str, ...]) -> tuple[x509.Certificate, ...]:
    try:
        ders = [base64.b64decode(item, validate=True) for item in x5c]
    except (binascii.Error, ValueError):
        _malformed("an x5c that is not base64", "certificates in base64 (RFC 7515 section 4.1.6)")
    return tuple(load_certificate(der) for der in ders)


def _check_times(message: Message, now: datetime) -> None:
    ahead = message.issued_at - now
    if ahead > CLOCK_SKEW_MAX:
        got = f"a message from {ahead.total_seconds():.0f} s in the future (sent {message.issued_at}, here it is {now})"
        fix = "One of the two clocks is wrong: compare both with a time server (NTP)."
        _refuse(ProblemCode.BAD_TIME, "issued_at", got, f"clocks that differ by {CLOCK_SKEW_MAX} at most", fix)
    if now - message.expires_at > CLOCK_SKEW_MAX:
        late = (now - message.expires_at).total_seconds()
        got = f"a message that expired {late:.0f} s ago (at {message.expires_at}, here it is {now})"
        fix = "Send a new request; if it was sent just now, compare both clocks with a time server (NTP)."
        _refuse(ProblemCode.BAD_TIME, "expires_at", got, "a message that has not expired", fix)
    if message.expires_at - message.issued_at > LIFETIME_MAX:
        lifetime = message.expires_at - message.issued_at
        fix = "Send messages that expire sooner."
        _refuse(ProblemCode.BAD_TIME, "expires_at", f"a lifetime of {lifetime}", f"at most {LIFETIME_MAX}", fix)


def _malformed(got: str, allowed: str) -> NoReturn:
    fix = "Both agents must speak the same protocol version; compare `agent --version` on both sides."
    _refuse(ProblemCode.BAD_DATA_FORMAT, "envelope", got, allowed, fix)


def _refuse(code: ProblemCode, field: str, got: str, allowed: str, fix: str) -> NoReturn:
    raise EnvelopeError(problem(code, field, got, allowed, fix)) from None
