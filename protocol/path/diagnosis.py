"""Why a path was refused, in words for the holder of the certificate. Explains a refusal; never turns one around."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from protocol.errors import Problem, ProblemCode, problem
from protocol.names import Fingerprint

Certificates = Sequence[x509.Certificate]

_REPLACE = "whoever pinned the old one removes it (`agent unpin PARTNER --as ROLE`); then exchange a new invitation"

_STRONG_HASHES = frozenset({"sha256", "sha384", "sha512"})


def explain(
    leaf: x509.Certificate, intermediates: Certificates, anchors: Certificates, now: datetime, reason: str
) -> Problem:
    """Say the most helpful thing about a path that the validator refused for `reason`.

    That is a weak signature, else where the signatures really lead, else what is not valid at `now`, else the reason.
    """
    walk = _walk(leaf, (*anchors, *intermediates))
    for certificate in walk:
        if certificate not in anchors and _hash_name(certificate) not in _STRONG_HASHES:
            return _weak_signature(_who(certificate, leaf), certificate)
    if walk[-1] not in anchors:
        return _leads_elsewhere(walk[-1], intermediates, anchors)
    for certificate in walk:
        if certificate.not_valid_after_utc < now:
            return _expired(_who(certificate, leaf), certificate, now)
        if now < certificate.not_valid_before_utc:
            return _not_yet_valid(_who(certificate, leaf), certificate, now)
    fix = "Issue the certificate again without that fault (RFC 5280 section 6.1), or check the CA's own constraints."
    got = reason.removeprefix("validation failed: ").split(" (encountered processing")[0]
    return problem(ProblemCode.SIGNER_NOT_TRUSTED, "certificate path", got, "a valid path to the trust anchor", fix)


def _walk(leaf: x509.Certificate, pool: Certificates) -> list[x509.Certificate]:
    """From the leaf upwards for as long as an issuer is at hand whose key verifies the signature."""
    walk = [leaf]
    while issuer := next((one for one in pool if one not in walk and is_issued_by(walk[-1], one)), None):
        walk.append(issuer)
        if issuer.subject == issuer.issuer:
            break
    return walk


def is_issued_by(subject: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the name and the key of `issuer` are those that `subject` was signed with."""
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _leads_elsewhere(end: x509.Certificate, intermediates: Certificates, anchors: Certificates) -> Problem:
    pinned = " or ".join(_fingerprint(anchor) for anchor in anchors)
    allowed = f"a path to the trust anchor with SHA-256 {pinned}"
    if end.subject == end.issuer:
        got = f"a path to the root with SHA-256 {_fingerprint(end)}, {_name(end.subject)}"
        fix = f"Compare both fingerprints with the partner. If a root was replaced on purpose, {_REPLACE}."
    elif any(one.subject == end.issuer for one in (*anchors, *intermediates)):
        got = f"a signature that no certificate named {_name(end.issuer)} verifies"
        fix = f"Send the chain of the CA that signed it. If a root has a new key under its old name, {_REPLACE}."
    else:
        got = f"a path that ends below {_name(end.issuer)}"
        fix = "Send the leaf's complete chain: its issuer, that one's issuer, up to the root."
    return problem(ProblemCode.SIGNER_NOT_TRUSTED, "certificate path", got, allowed, fix)


def _hash_name(certificate: x509.Certificate) -> str:
    """What the signature is over; Ed25519 fixes its own."""
    digest = certificate.signature_hash_algorithm
    return digest.name if digest else "a hash of its own (Ed25519)"


def _weak_signature(who: str, certificate: x509.Certificate) -> Problem:
    fix = "Have it issued again with SHA-256 (`openssl x509 -req -sha256`)."
    got = f"a signature over {_hash_name(certificate)}"
    return problem(ProblemCode.BAD_ALG, who, got, "SHA-256, SHA-384 or SHA-512", fix)


def _expired(who: str, certificate: x509.Certificate, now: datetime) -> Problem:
    end = certificate.not_valid_after_utc
    got = f"valid until {end:%Y-%m-%dT%H:%M:%SZ}, which was {_span(now - end)} ago"
    fix = "Renew it. If it should still be valid, compare the clocks of both machines."
    return problem(ProblemCode.BAD_TIME, who, got, f"valid at {now:%Y-%m-%dT%H:%M:%SZ}", fix)


def _not_yet_valid(who: str, certificate: x509.Certificate, now: datetime) -> Problem:
    start = certificate.not_valid_before_utc
    got = f"valid from {start:%Y-%m-%dT%H:%M:%SZ}, which is in {_span(start - now)}"
    fix = "Compare the clocks of both machines: one is probably wrong by that much."
    return problem(ProblemCode.BAD_TIME, who, got, f"valid at {now:%Y-%m-%dT%H:%M:%SZ}", fix)


def _who(certificate: x509.Certificate, leaf: x509.Certificate) -> str:
    return "certificate" if certificate == leaf else f"CA certificate {_name(certificate.subject)}"


def _name(name: x509.Name) -> str:
    return f"'{name.rfc4514_string()}'"


def _fingerprint(certificate: x509.Certificate) -> Fingerprint:
    return Fingerprint.of(certificate.public_bytes(Encoding.DER))


def _span(span: timedelta) -> str:
    return str(timedelta(seconds=round(span.total_seconds())))
