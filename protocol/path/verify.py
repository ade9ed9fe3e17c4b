"""Validate one certification path (RFC 5280 section 6).

`cryptography.x509.verification` builds and checks the path; this module says which path is wanted and turns every
failure into problems for the other side. Left out: revocation, and whose record the certificate belongs to. A valid
path says that an anchor vouches for a certificate, never that its holder is welcome.

Measured with P-256: 130 microseconds for one link, 225 for two. The result depends on the arguments only, so a
caller may keep it for as long as `now` lies within the validity of every certificate of the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from protocol.errors import PathError, ProblemCode, problem
from protocol.messages import CHAIN_MAX
from protocol.names import DnsName
from protocol.path.diagnosis import explain
from protocol.path.names import agent_organisation, check_server_name
from protocol.path.purpose import Purpose, check_authority_purpose, check_purpose

RSA_BITS_MIN = 2048
"""Smallest RSA modulus, in bits (NIST SP 800-131A)."""

RSA_BITS_MAX = 8192
"""Largest RSA modulus, in bits: verification time grows with its square, and a stranger chooses it."""


def verify_path(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    purpose: Purpose,
    now: datetime,
    server_name: DnsName | None = None,
) -> tuple[x509.Certificate, ...]:
    """The path from `leaf` to one of `anchors`, both included, valid at `now` (aware, UTC) and fit for `purpose`.

    All certificates come from `load_certificate`. `intermediates` may be in any order and hold the root. `server_name`
    is required for `CHANNEL_SERVER`. Raises `PathError` with problems that tell the holder of `leaf` what to do.
    The caller still owes: that the leaf stands in the partner's own record and is not revoked.
    """
    # 1. Bounds before work: chains of at most four, RSA of at most 8192 bits.
    _check_bounds(leaf, intermediates, anchors)
    # 2. Signatures, validity, CA flags, path length, name constraints (RFC 5280 section 6.1).
    verifier = (
        PolicyBuilder()
        .store(Store(list(anchors)))
        .time(now)
        .max_chain_depth(CHAIN_MAX - 2)  # counts neither leaf nor anchor
        .extension_policies(ca_policy=_CA_POLICY, ee_policy=_EE_POLICY)
        .build_client_verifier()
    )
    try:
        path = tuple(verifier.verify(leaf, list(intermediates)).chain)
    except VerificationError as error:
        raise PathError(explain(leaf, intermediates, anchors, now, str(error))) from error
    # 3. Purpose of the leaf, and of the CAs where they are limited to some.
    check_purpose(leaf, purpose)
    for authority in path[1:]:
        check_authority_purpose(authority, purpose)
    # 4. Name.
    if purpose is Purpose.ENVELOPE:
        agent_organisation(leaf)
    elif purpose is Purpose.CHANNEL_SERVER or server_name is not None:
        check_server_name(leaf, server_name)
    return path


def _check_bounds(
    leaf: x509.Certificate, intermediates: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> None:
    if not anchors:
        fix = "Exchange an invitation first: it pins the trust anchor."
        raise PathError(problem(ProblemCode.SIGNER_NOT_TRUSTED, "trust anchor", "none", "one or more", fix))
    if len(intermediates) > CHAIN_MAX:
        fix = "Send the leaf's issuer, its issuer and so on up to the root, and nothing else."
        raise PathError(
            problem(
                ProblemCode.SIGNER_NOT_TRUSTED,
                "certificate chain",
                f"{len(intermediates)} certificates above the leaf",
                f"at most {CHAIN_MAX}",
                fix,
            )
        )
    for certificate in (leaf, *intermediates, *anchors):
        _check_key_size(certificate)


def _check_key_size(certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    if isinstance(key, RSAPublicKey) and not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        fix = "Use a certificate with an RSA key within these bounds, or an elliptic-curve key."
        allowed = f"{RSA_BITS_MIN} to {RSA_BITS_MAX} bits"
        raise PathError(problem(ProblemCode.BAD_ALG, "public key", f"RSA of {key.key_size} bits", allowed, fix))


def _ca_key_usage(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    """RFC 5280 section 6.1.4 (n). Roots made with `openssl req -x509` say nothing, which permits."""
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the key usage of a CA certificate lacks keyCertSign")


_CA_POLICY = (
    ExtensionPolicy.webpki_defaults_ca()
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _ca_key_usage)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None)
)
"""The library's rules for CAs; the extended key usage is step 3's, because the library knows TLS purposes only."""

_EE_POLICY = ExtensionPolicy.webpki_defaults_ee().may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None)
"""The library's rules for end entities: not a CA, no keyCertSign, a subject alternative name; purpose is step 3's."""
