"""What a certificate may be used for (RFC 5280 sections 4.2.1.3 and 4.2.1.12).

An absent usage is not permission, and keys are not shared between purposes: whatever is not listed here is refused.
"""

from __future__ import annotations

from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from protocol.errors import PathError, ProblemCode, problem
from protocol.path.load import extension


class Purpose(StrEnum):
    """What a certificate is shown for."""

    ENVELOPE = "sealing envelopes"
    CHANNEL_SERVER = "serving the channel"
    CHANNEL_CLIENT = "opening the channel"


KP_JWT = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.37")
"""id-kp-jwt (RFC 9509 section 3): the key signs JWTs, which is a JWS like the envelope."""

_TLS = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})

_REQUIRED = {
    Purpose.ENVELOPE: KP_JWT,
    Purpose.CHANNEL_SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Purpose.CHANNEL_CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}
_ALLOWED = {Purpose.ENVELOPE: frozenset({KP_JWT}), Purpose.CHANNEL_SERVER: _TLS, Purpose.CHANNEL_CLIENT: _TLS}


def check_purpose(leaf: x509.Certificate, purpose: Purpose) -> None:
    """Raise `PathError` unless `leaf` says that it is for `purpose`, and for nothing that does not go with it."""
    usage = extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        got = "no digitalSignature" if usage else "no key usage at all"
        raise _wrong_purpose("key usage", got, "digitalSignature", purpose)
    extended = frozenset(extension(leaf, x509.ExtendedKeyUsage) or ())
    if _REQUIRED[purpose] not in extended or not extended <= _ALLOWED[purpose]:
        raise _wrong_purpose("extended key usage", _usages(extended), _wanted_usages(purpose), purpose)


def check_authority_purpose(authority: x509.Certificate, purpose: Purpose) -> None:
    """Raise `PathError` if a CA is limited to other purposes; one that says nothing, or `any`, is not limited."""
    extended = extension(authority, x509.ExtendedKeyUsage)
    if extended is None or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in extended:
        return
    if _REQUIRED[purpose] not in extended:
        got = f"{_usages(frozenset(extended))} in {authority.subject.rfc4514_string()}"
        raise _wrong_purpose("extended key usage of a CA", got, _wanted_usages(purpose), purpose)


def _wrong_purpose(field: str, got: str, allowed: str, purpose: Purpose) -> PathError:
    fix = f"Use a certificate that was issued for {purpose}; a certificate for another purpose does not do."
    return PathError(problem(ProblemCode.SIGNER_NOT_TRUSTED, field, got, allowed, fix))


def _usages(extended: frozenset[x509.ObjectIdentifier]) -> str:
    return ", ".join(sorted(oid.dotted_string for oid in extended)) or "none"


def _wanted_usages(purpose: Purpose) -> str:
    others = _ALLOWED[purpose] - {_REQUIRED[purpose]}
    also = f", besides it at most {_usages(others)}" if others else " and nothing else"
    return _REQUIRED[purpose].dotted_string + also
