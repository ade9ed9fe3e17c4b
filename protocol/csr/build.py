"""Build a certification request as this protocol's requesters do: names in the extension for them, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding

from protocol.csr.facts import CertificationRequest, NameKind, SubjectName
from protocol.csr.parse import parse_csr
from protocol.csr.refusals import refusal
from protocol.errors import ProblemCode

RequesterKey = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey

_P256_BITS, _P384_BITS = 256, 384
_SHA256_RSA_BITS_MAX = 3072
"""SHA-256 is as strong as RSA of this size (NIST SP 800-57 part 1, section 5.6.1)."""

_GENERAL_NAMES: dict[NameKind, Callable[[str], x509.GeneralName]] = {
    NameKind.DNS: x509.DNSName,
    NameKind.URI: x509.UniformResourceIdentifier,
    NameKind.EMAIL: x509.RFC822Name,
    NameKind.IP: lambda text: x509.IPAddress(ip_address(text)),
}


def build_csr(key: RequesterKey, names: Sequence[SubjectName], common_name: str | None) -> CertificationRequest:
    """A request for `names`, signed by `key` with the hash that its size deserves.

    The subject is empty unless there is a common name; then the extension is critical (RFC 5280 section 4.2.1.6).
    It has passed `parse_csr`: raises `RequestError`, in the issuer's words, where an issuer would refuse it.
    """
    try:
        builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(common_name))
        if names:
            alternative = x509.SubjectAlternativeName([_GENERAL_NAMES[name.kind](name.value) for name in names])
            builder = builder.add_extension(alternative, critical=common_name is None)
        request = builder.sign(key, _hash(key))
    except ValueError as error:
        fix = "Correct the name; internationalised DNS names are written as A-labels (xn--...)."
        raise refusal(ProblemCode.BAD_CERT_TEMPLATE, "CSR", error, "names in their standard form", fix) from error
    return parse_csr(request.public_bytes(Encoding.DER))


def _subject(common_name: str | None) -> x509.Name:
    if common_name is None:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _hash(key: RequesterKey) -> SHA256 | SHA384 | SHA512 | None:
    """None for Ed25519, which fixes its own."""
    match key:
        case Ed25519PrivateKey():
            return None
        case RSAPrivateKey(key_size=bits):
            return SHA256() if bits <= _SHA256_RSA_BITS_MAX else SHA384()
        case EllipticCurvePrivateKey(key_size=bits):
            return SHA256() if bits <= _P256_BITS else SHA384() if bits <= _P384_BITS else SHA512()
