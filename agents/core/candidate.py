"""A request beside the certificate that would come of it: what the rules judge, so that nothing else is ever issued.

The certificate is put together from what the policy lets in; what a request asks for beyond that is not in it, and is
found by the rules (a refusal) or listed in the notes (harmless).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from agents.core.agreement import CLIENT_AUTH, Context, Policy
from agents.core.patterns import NamePattern, covering
from agents.core.profile import CertificateSpec, Profile, validity
from agents.core.subject import label, subject_with_rules
from protocol.csr import CertificationRequest, SubjectAttribute, SubjectName
from protocol.errors import printable


@dataclass(frozen=True, slots=True)
class Grant:
    """Something that stands in the certificate, and the rule of the policy that let it in."""

    item: SubjectName | SubjectAttribute
    rule: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What was asked for, what was agreed, and the certificate as it would be issued."""

    request: CertificationRequest
    policy: Policy
    context: Context
    names: tuple[tuple[SubjectName, NamePattern], ...]
    subject: tuple[tuple[SubjectAttribute, str], ...]
    spec: CertificateSpec


def propose(request: CertificationRequest, policy: Policy, context: Context) -> Candidate:
    """Put the certificate together. It may still break any rule, but holds no name or attribute without one."""
    names = tuple(_names(request, policy))
    subject = tuple(subject_with_rules(request.subject, policy))
    not_before, not_after = validity(context.now, _granted_lifetime(policy, context))
    spec = CertificateSpec(
        profile=Profile.CHANNEL_CLIENT,
        subject=tuple(attribute for attribute, _ in subject),
        names=tuple(name for name, _ in names),
        public_key=request.key.spki,
        extended_key_usages=request.extended_key_usages or (CLIENT_AUTH,),
        not_before=not_before,
        not_after=min(not_after, context.issuer_not_after),
    )
    return Candidate(request, policy, context, names, subject, spec)


def grants(candidate: Candidate) -> tuple[Grant, ...]:
    """Every name and attribute of the certificate, with its rule."""
    names = (Grant(name, f"names.{name.kind} {pattern}") for name, pattern in candidate.names)
    return (*names, *(Grant(attribute, rule) for attribute, rule in candidate.subject))


def notes(candidate: Candidate) -> tuple[str, ...]:
    """What was asked for, is not in the certificate and does no harm, in words for the requester."""
    return (*candidate.request.left_out, *_subject_notes(candidate), *_lifetime_notes(candidate))


def in_days(lifetime: timedelta) -> str:
    """A lifetime for people."""
    return f"{lifetime / timedelta(days=1):g} days"


def _names(request: CertificationRequest, policy: Policy) -> Iterator[tuple[SubjectName, NamePattern]]:
    # Names beyond the permitted number are not even looked at: their number alone refuses the request.
    for name in request.names[: policy.names_maximum]:
        pattern = covering(name, policy.names)
        if pattern is not None:
            yield name, pattern


def _wanted_lifetime(policy: Policy, context: Context) -> timedelta:
    return policy.lifetime_default if context.lifetime is None else context.lifetime


def _granted_lifetime(policy: Policy, context: Context) -> timedelta:
    # A negative wish becomes none at all, so that no date is out of range; a rule refuses what has no life left.
    return max(timedelta(0), min(_wanted_lifetime(policy, context), policy.lifetime_maximum))


def _subject_notes(candidate: Candidate) -> Iterator[str]:
    for attribute in candidate.request.subject:
        if attribute not in candidate.spec.subject:
            value = printable(attribute.value)
            yield f"subject: {label(attribute.oid)} '{value}' is not taken over by the issuer's policy"


def _lifetime_notes(candidate: Candidate) -> Iterator[str]:
    wanted, most = _wanted_lifetime(candidate.policy, candidate.context), candidate.policy.lifetime_maximum
    if wanted > most:
        yield f"lifetime: {in_days(wanted)} asked for; the issuer's policy grants at most {in_days(most)}"
    end = candidate.spec.not_after
    if end == candidate.context.issuer_not_after:
        yield f"lifetime: cut to the end of the issuer's own CA, {end:%Y-%m-%d %H:%M} UTC"
