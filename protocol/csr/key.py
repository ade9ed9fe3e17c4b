"""Public keys (SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7): five kinds, each in its one encoding.

Promises: the algorithm identifier is, octet for octet, one of a list; the point is on its curve; an RSA key has a
sensible exponent and a modulus without a known weakness. Leaves out which kinds and sizes are good enough, which is
policy, and lists of published private keys: a policy that has one compares fingerprints.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from protocol.csr import der, ed25519_point, rsa_modulus
from protocol.csr.algorithms import describe
from protocol.csr.facts import KeyFacts, KeyKind
from protocol.csr.refusals import refusal
from protocol.errors import ProblemCode, RequestError
from protocol.names import Fingerprint

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

ALLOWED = (
    "P-256, P-384 or P-521 (named curve, uncompressed point), RSA of 2048 to 8192 bits, a multiple of 8, or Ed25519"
)

_FIELD = "public key"
_UNCOMPRESSED = 4

# AlgorithmIdentifiers in DER. The parameters are part of the octets: a named curve (RFC 5480 section 2.1.1),
# NULL for RSA (RFC 3279 section 2.3.1), nothing for Ed25519 (RFC 8410 section 3).
_KINDS = {
    bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"): KeyKind.P256,
    bytes.fromhex("301006072a8648ce3d020106052b81040022"): KeyKind.P384,
    bytes.fromhex("301006072a8648ce3d020106052b81040023"): KeyKind.P521,
    bytes.fromhex("300d06092a864886f70d0101010500"): KeyKind.RSA,
    bytes.fromhex("300506032b6570"): KeyKind.ED25519,
}
KEYS_KEPT = 256
"""Loaded public keys that are remembered: some batches' worth."""

_CURVE_BITS = {KeyKind.P256: 256, KeyKind.P384: 384, KeyKind.P521: 521}


def key_facts(spki_der: bytes) -> KeyFacts:
    """The facts of a DER SubjectPublicKeyInfo.

    Raises `RequestError` unless it is one of the kinds in `ALLOWED`, in its one encoding, and free of the weaknesses
    that show in the public half.
    """
    return load_key(spki_der)[0]


def load_key(spki_der: bytes) -> tuple[KeyFacts, PublicKey]:
    """As `key_facts`, and the key itself, ready to verify with."""
    spki = der.only_element(spki_der, der.SEQUENCE, _FIELD)
    algorithm, subject_public_key = der.members(spki, _FIELD, der.SEQUENCE, der.BIT_STRING)
    kind = _KINDS.get(algorithm.encoded)
    if kind is None:
        raise _bad_key(f"algorithm {describe(algorithm)}")
    bits = _JUDGES[kind](kind, der.bit_string(subject_public_key, _FIELD))
    return KeyFacts(kind, bits, spki_der, Fingerprint.of(spki_der)), load_public_key(spki_der)


@lru_cache(maxsize=KEYS_KEPT)
def load_public_key(spki_der: bytes) -> PublicKey:
    """The library's key, remembered for a moment: a request's key is verified with, and then certified.

    For the NIST curves this is where the point is checked to be on the curve. Raises `RequestError`.
    """
    try:
        return cast("PublicKey", load_der_public_key(spki_der))  # the algorithm identifier leaves no other type
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad_key(f"a point that is not on its curve, or another key that cannot be used ({error})") from error


def _judge_curve_point(kind: KeyKind, octets: bytes) -> int:
    """SEC 1 section 2.3.3: only the uncompressed form, the one that RFC 5480 section 2.2 makes everybody support."""
    bits = _CURVE_BITS[kind]
    if octets[:1] != bytes([_UNCOMPRESSED]) or len(octets) != 1 + 2 * ((bits + 7) // 8):
        raise _bad_key(f"a {kind} point of {len(octets)} octets beginning with {octets[:1].hex() or 'nothing'}")
    return bits


def _judge_ed25519(kind: KeyKind, octets: bytes) -> int:
    weakness = ed25519_point.weakness(octets)
    if weakness:
        raise _bad_key(f"an {kind} key that is {weakness}")
    return ed25519_point.BITS


def _judge_rsa(_kind: KeyKind, octets: bytes) -> int:
    sequence = der.only_element(octets, der.SEQUENCE, _FIELD)
    modulus, exponent = (
        der.positive_integer(part, _FIELD) for part in der.members(sequence, _FIELD, der.INTEGER, der.INTEGER)
    )
    weakness = rsa_modulus.weakness(modulus, exponent)
    if weakness:
        raise _bad_key(f"an RSA key with {weakness}")
    return modulus.bit_length()


_JUDGES: dict[KeyKind, Callable[[KeyKind, bytes], int]] = {
    KeyKind.P256: _judge_curve_point,
    KeyKind.P384: _judge_curve_point,
    KeyKind.P521: _judge_curve_point,
    KeyKind.RSA: _judge_rsa,
    KeyKind.ED25519: _judge_ed25519,
}


def _bad_key(got: str) -> RequestError:
    return refusal(ProblemCode.BAD_ALG, _FIELD, got, ALLOWED, "Generate a new key pair of an allowed kind.")
