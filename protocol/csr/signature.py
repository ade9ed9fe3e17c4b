"""Proof of possession: the signature over the request's first part, exactly as it was received (RFC 2986 section 4.2).

An algorithm identifier is compared octet for octet, so the hash, its parameters and every default inside them are on
the list or not (CA/Browser Forum BR section 7.1.3.2). SHA-256 or better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from protocol.csr import der
from protocol.csr.algorithms import describe
from protocol.csr.key import PublicKey
from protocol.csr.refusals import refusal
from protocol.errors import ProblemCode

_FIELD = "CSR signature"


@dataclass(frozen=True, slots=True)
class Scheme:
    """A signature algorithm with all its parameters: the keys that it belongs to, its hash, and how to verify."""

    key_type: type[PublicKey]
    hash_name: str
    verify: Callable[[Any, bytes, bytes], None]


def _ecdsa(hash_: HashAlgorithm, name: str) -> Scheme:
    algorithm = ECDSA(hash_)
    return Scheme(EllipticCurvePublicKey, name, lambda key, signature, data: key.verify(signature, data, algorithm))


def _pkcs1(hash_: HashAlgorithm, name: str) -> Scheme:
    return Scheme(RSAPublicKey, name, lambda key, signature, data: key.verify(signature, data, PKCS1v15(), hash_))


def _pss(hash_: HashAlgorithm, name: str) -> Scheme:
    padding = PSS(MGF1(hash_), hash_.digest_size)
    return Scheme(RSAPublicKey, name, lambda key, signature, data: key.verify(signature, data, padding, hash_))


def _pss_identifier(sha2: int, salt: int) -> bytes:
    """RSASSA-PSS (RFC 4055 section 3.1): SHA-2 with last arc `sha2` for message and mask, salt as long as the hash."""
    digest = f"300d060960864801650304020{sha2}0500"
    mask = f"301a06092a864886f70d010108{digest}"
    return bytes.fromhex(f"304106092a864886f70d01010a3034a00f{digest}a11c{mask}a2030201{salt:02x}")


_SCHEMES = {
    bytes.fromhex("300a06082a8648ce3d040302"): _ecdsa(SHA256(), "SHA-256"),
    bytes.fromhex("300a06082a8648ce3d040303"): _ecdsa(SHA384(), "SHA-384"),
    bytes.fromhex("300a06082a8648ce3d040304"): _ecdsa(SHA512(), "SHA-512"),
    bytes.fromhex("300d06092a864886f70d01010b0500"): _pkcs1(SHA256(), "SHA-256"),
    bytes.fromhex("300d06092a864886f70d01010c0500"): _pkcs1(SHA384(), "SHA-384"),
    bytes.fromhex("300d06092a864886f70d01010d0500"): _pkcs1(SHA512(), "SHA-512"),
    _pss_identifier(1, 32): _pss(SHA256(), "SHA-256"),
    _pss_identifier(2, 48): _pss(SHA384(), "SHA-384"),
    _pss_identifier(3, 64): _pss(SHA512(), "SHA-512"),
    bytes.fromhex("300506032b6570"): Scheme(
        Ed25519PublicKey, "Ed25519", lambda key, signature, data: key.verify(signature, data)
    ),
}


def verify_possession(key: PublicKey, algorithm: der.Element, signature: der.Element, signed: bytes) -> str:
    """Verify that the holder of `key` signed `signed`, and return the name of the hash.

    Raises `RequestError`: badAlg for an algorithm that is not on the list or belongs to another kind of key, badPOP
    where the signature does not verify.
    """
    scheme = _SCHEMES.get(algorithm.encoded)
    if scheme is None or not isinstance(key, scheme.key_type):
        allowed = (
            "ECDSA, RSA PKCS#1 v1.5 or RSA-PSS (salt as long as the hash) with SHA-256, SHA-384 or SHA-512; Ed25519"
        )
        got = f"algorithm {describe(algorithm)} under {type(key).__name__}"
        raise refusal(ProblemCode.BAD_ALG, "CSR signature algorithm", got, allowed)
    octets = der.bit_string(signature, _FIELD)
    try:
        scheme.verify(key, octets, signed)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
        allowed = "a signature by the private key that belongs to the request's public key"
        raise refusal(
            ProblemCode.BAD_POP, _FIELD, f"one of {len(octets)} octets that does not verify", allowed
        ) from error
    return scheme.hash_name
