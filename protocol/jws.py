"""JSON Web Signatures (RFC 7515) in the one form that envelopes have: flattened JSON, protected header with `x5c`.

joserfc signs and verifies. The form around it is read and written here, because a header holds a whole certificate
chain and is the same in every message of a sender: it is written once, and read once per sender.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry

from protocol.errors import EnvelopeError, ProblemCode, problem
from protocol.messages import CHAIN_MAX
from protocol.names import Fingerprint

ALGORITHMS = ("ES256", "ES384", "Ed25519")
"""Algorithms (RFC 7518 section 3.1, RFC 9864 section 2.2) that are accepted and made; each fits one kind of key."""

TYPE = "apostille+json"

HEADERS_KEPT = 1024
"""Parsed headers that are kept, one per sender."""

HEADER_KEPT_MAX = 16_384
"""Largest header that is kept, in characters, and in bytes of its certificates: those of usual chains have 3 000 to
10 000, and anybody can send a thousand that are as large as an envelope may be."""

SigningKey = EllipticCurvePrivateKey | Ed25519PrivateKey
JoseKey = ECKey | OKPKey

_REGISTRY = JWSRegistry(algorithms=ALGORITHMS)
_ALLOWED = f"typ {TYPE} and alg one of {', '.join(ALGORITHMS)}"
_JSON = json.JSONDecoder(object_pairs_hook=list)
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384"}


@dataclass(frozen=True, slots=True)
class Header:
    """The protected header: algorithm, and the certificates of `x5c` (DER), leaf first."""

    algorithm: str
    x5c: tuple[bytes, ...]

    @property
    def is_kept(self) -> bool:
        """Whether it is small enough for what follows from it to be kept in memory."""
        return sum(map(len, self.x5c)) <= HEADER_KEPT_MAX


@dataclass(frozen=True, slots=True)
class Jws:
    """A signature of which nothing is proven yet. `signing_input` is what it is over, as received."""

    header: Header
    payload: str
    signing_input: bytes
    signature: bytes

    @property
    def digest(self) -> Fingerprint:
        """SHA-256 of what is signed: the JWS Signing Input (RFC 7515 section 5.1). The JSON around it, which anybody on
        the way can write anew, and the signature, which has several forms that verify, are not in it."""
        return Fingerprint.of(self.signing_input)


class Signer:
    """Signs with one key and one chain. Raises `EnvelopeError` for a key that no algorithm here fits."""

    def __init__(self, key: SigningKey, chain: tuple[bytes, ...]) -> None:
        name = algorithm_for(key.public_key())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._key: JoseKey = OKPKey.import_key(pem) if isinstance(key, Ed25519PrivateKey) else ECKey.import_key(pem)
        self._algorithm = _REGISTRY.get_alg(name)
        x5c = [base64.b64encode(der).decode("ascii") for der in chain]
        self._protected = _encode(json.dumps({"alg": name, "typ": TYPE, "x5c": x5c}, separators=(",", ":")).encode())

    def sign(self, payload: bytes) -> bytes:
        """The signed payload: RFC 7515 section 7.2.2, one JSON object. Base64url needs no escapes in JSON."""
        content = _encode(payload)
        signature = _encode(self._algorithm.sign(b".".join((self._protected, content)), self._key))
        parts = (b'{"payload":"', content, b'","protected":"', self._protected, b'","signature":"', signature, b'"}')
        return b"".join(parts)


def parse_jws(data: bytes) -> Jws:
    """Read a signature. Nothing but its form is checked. Raises `EnvelopeError`."""
    parts = _object(data, "an envelope", {"payload", "protected", "signature"})
    if not all(isinstance(part, str) and part.isascii() for part in parts.values()):
        _malformed("parts that are not text", "payload, protected and signature as base64url text")
    signing_input = f"{parts['protected']}.{parts['payload']}".encode("ascii")
    header = _header(parts["protected"])
    return Jws(header, parts["payload"], signing_input, _decode(parts["signature"], "a signature"))


def payload_of(data: bytes) -> bytes:
    """The payload of a signature that is known to be good: nothing is verified. Raises `EnvelopeError`."""
    return _decode(parse_jws(data).payload, "a payload")


def verified_payload(jws: Jws, key: JoseKey) -> bytes:
    """The payload, once the signature over the received bytes has been verified. Raises `EnvelopeError`."""
    algorithm = _REGISTRY.get_alg(jws.header.algorithm)
    try:
        algorithm.check_key(key)
        good = algorithm.verify(jws.signing_input, jws.signature, key)
    except (JoseError, ValueError):
        good = False
    if not good:
        fix = "The message was changed on its way or signed with another key; check the agent identity at the sender."
        got, allowed = "a signature that does not verify", "the signature of the agent whose certificate is in x5c"
        raise EnvelopeError(problem(ProblemCode.BAD_MESSAGE_CHECK, "signature", got, allowed, fix))
    return _decode(jws.payload, "a payload")


def jose_key(public: PublicKeyTypes) -> JoseKey:
    """A public key as joserfc wants it. Raises `EnvelopeError` for a kind that does not sign envelopes."""
    algorithm_for(public)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return OKPKey.import_key(pem) if isinstance(public, Ed25519PublicKey) else ECKey.import_key(pem)


def algorithm_for(public: PublicKeyTypes) -> str:
    """The algorithm that fits a key. Raises `EnvelopeError` for a kind that does not sign envelopes."""
    if isinstance(public, Ed25519PublicKey):
        return "Ed25519"
    if isinstance(public, EllipticCurvePublicKey) and public.curve.name in _CURVES:
        return _CURVES[public.curve.name]
    fix = "Use an agent identity with a P-256, P-384 or Ed25519 key."
    raise EnvelopeError(problem(ProblemCode.BAD_ALG, "x5c", "another kind of key", "P-256, P-384 or Ed25519", fix))


def _header(protected: str) -> Header:
    return _kept_header(protected) if len(protected) <= HEADER_KEPT_MAX else _parsed_header(protected)


def _parsed_header(protected: str) -> Header:
    header = _object(_decode(protected, "a protected header"), "a protected header", {"alg", "typ", "x5c"})
    if header["alg"] not in ALGORITHMS or header["typ"] != TYPE:
        # Only text is quoted: to write down a value nested a thousand times would exhaust the stack.
        algorithm, kind = (part if isinstance(part, str) else "no text" for part in (header["alg"], header["typ"]))
        got = f"alg {algorithm}, typ {kind}"
        fix = "Use an agent identity with a P-256, P-384 or Ed25519 key, and the same protocol version."
        raise EnvelopeError(problem(ProblemCode.BAD_ALG, "protected header", got, _ALLOWED, fix))
    return Header(header["alg"], _certificates(header["x5c"]))


_kept_header = lru_cache(maxsize=HEADERS_KEPT)(_parsed_header)


def _certificates(x5c: object) -> tuple[bytes, ...]:
    """RFC 7515 section 4.1.6: standard base64, leaf first; here up to and including the root."""
    if not isinstance(x5c, list) or not 1 < len(x5c) <= CHAIN_MAX or not all(isinstance(item, str) for item in x5c):
        _malformed("an x5c of another form", f"2 to {CHAIN_MAX} certificates, from the agent's to the root, in base64")
    try:
        return tuple(base64.b64decode(item, validate=True) for item in x5c)
    except ValueError:
        _malformed("an x5c that is not base64", "certificates in base64 (RFC 7515 section 4.1.6)")


def _object(data: bytes, what: str, keys: set[str]) -> dict[str, Any]:
    """A JSON object with exactly these members, none of them twice."""
    try:
        pairs = _JSON.decode(data.decode())
    except (ValueError, RecursionError):
        _malformed(f"{what} that is not JSON", "a JSON object")
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        _malformed(f"{what} that is not a JSON object", "a JSON object")
    found = [pair[0] for pair in pairs]
    if len(found) != len(keys) or set(found) != keys:
        _malformed(f"{what} with the members {', '.join(found[:8]) or 'none'}", f"exactly {', '.join(sorted(keys))}")
    return dict(pairs)


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(text: str, what: str) -> bytes:
    """Base64url without padding, in its one canonical spelling (RFC 7515 section 2, RFC 4648 section 3.5)."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        data = b""
    if _encode(data) != text.encode("ascii", "replace"):
        _malformed(f"{what} that is not base64url", "base64url without padding (RFC 7515 section 2)")
    return data


def _malformed(got: str, allowed: str) -> NoReturn:
    fix = "Both agents must speak the same protocol version; compare `agent --version` on both sides."
    raise EnvelopeError(problem(ProblemCode.BAD_DATA_FORMAT, "envelope", got, allowed, fix)) from None
