"""Policies, requests and contexts for tests: valid ones, of which a test changes what it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agents.core.agreement import CLIENT_AUTH, Approval, CommonName, Context, KeyReuse, Policy
from agents.core.patterns import NamePattern, parse_pattern
from agents.core.policy import Approved, evaluate
from protocol.csr import CertificationRequest, KeyFacts, KeyKind, NameKind, SubjectName
from protocol.names import Fingerprint, OrganisationName

NOW = datetime(2026, 3, 1, 12, 0, 0, 654_321, tzinfo=UTC)
PARTNER = OrganisationName("client-b")


def dns(*names: str) -> tuple[SubjectName, ...]:
    return tuple(SubjectName(NameKind.DNS, name) for name in names)


def dns_patterns(*texts: str) -> tuple[NamePattern, ...]:
    return tuple(parse_pattern(NameKind.DNS, text) for text in texts)


def make_policy(**changes) -> Policy:
    policy = Policy(
        names=dns_patterns("**.client-b.example"),
        names_maximum=10,
        common_name=CommonName.ABSENT,
        subject_taken=frozenset(),
        subject_stamped=(),
        key_kinds=frozenset(KeyKind),
        rsa_bits_minimum=2048,
        key_reuse=KeyReuse.SAME_PARTNER,
        signature_hashes=frozenset({"SHA-256", "SHA-384", "SHA-512"}),
        extended_key_usages=frozenset({CLIENT_AUTH}),
        lifetime_default=timedelta(days=30),
        lifetime_maximum=timedelta(days=90),
        request_bytes_maximum=8192,
        approval=Approval.AUTOMATIC,
    )
    return replace(policy, **changes)


def make_request(*names: str, **changes) -> CertificationRequest:
    """A request for DNS names (one good one unless told otherwise) with a key that only its facts stand for."""
    request = CertificationRequest(
        der=b"\x30" * 400,
        subject=(),
        names=dns(*names or ("api.client-b.example",)),
        key=key(KeyKind.P256, 256),
        signature_hash="SHA-256",
        extended_key_usages=(),
        left_out=(),
    )
    return replace(request, **changes)


def key(kind: KeyKind, bits: int) -> KeyFacts:
    spki = f"{kind} {bits}".encode()
    return KeyFacts(kind, bits, spki, Fingerprint.of(spki))


def make_context(**changes) -> Context:
    context = Context(
        requester=PARTNER,
        now=NOW,
        issuer_not_after=NOW.replace(microsecond=0) + timedelta(days=1000),
        lifetime=None,
        key_holders=frozenset(),
        signing_keys=frozenset(),
        endpoint=None,
        approved=False,
    )
    return replace(context, **changes)


def approve(request: CertificationRequest, policy: Policy | None = None, context: Context | None = None) -> Approved:
    """The policy's approval, the only way there is to get one."""
    verdict = evaluate(request, policy or make_policy(), context or make_context())
    assert isinstance(verdict, Approved), verdict
    return verdict
