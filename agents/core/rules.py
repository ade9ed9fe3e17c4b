"""The rules of the policy. Each judges one aspect of a candidate and yields every problem that it finds there.

A problem is read in the other organisation: it says what the partner may ask for and what to do, and nothing of other
partners. Codes are those of RFC 9810 section 5.2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from agents.core.agreement import CLIENT_AUTH, USAGES, KeyReuse, Policy
from agents.core.candidate import Candidate
from agents.core.patterns import canonical
from agents.core.subject import COMMON_NAME, label, type_of
from protocol.csr import KeyKind, NameKind, SubjectName
from protocol.errors import NameSyntaxError, Problem, ProblemCode, problem
from protocol.names import DnsName
from protocol.path import RSA_BITS_MAX

COMMON_NAME_CHARACTERS_MAXIMUM = 64
"""ub-common-name, RFC 5280 appendix A.1."""

_SAN = "subjectAltName"
_ASK = "ask the issuer's operator to add it to the policy"


def size_is_bounded(candidate: Candidate) -> Iterator[Problem]:
    """The request is no larger than agreed."""
    size, most = len(candidate.request.der), candidate.policy.request_bytes_maximum
    if size > most:
        fix = "Make a request with fewer names and extensions."
        yield problem(ProblemCode.BAD_REQUEST, "CSR", f"{size} bytes", f"at most {most} bytes of DER", fix)


def names_are_counted(candidate: Candidate) -> Iterator[Problem]:
    """There is at least one name, and no more than agreed. A common name is none (RFC 9525 section 2)."""
    count, most = len(candidate.request.names), candidate.policy.names_maximum
    allowed = f"1 to {most} subject alternative names"
    if count == 0:
        fix = "Name the host there, for example: openssl req -new -addext 'subjectAltName=DNS:api.example.com' ..."
        yield problem(ProblemCode.BAD_CERT_TEMPLATE, _SAN, "no name", allowed, fix)
    if count > most:
        fix = "Make several requests with fewer names each."
        yield problem(ProblemCode.BAD_CERT_TEMPLATE, _SAN, f"{count} names", allowed, fix)


def names_are_covered(candidate: Candidate) -> Iterator[Problem]:
    """Every name was let in by a rule; those beyond the permitted number are not judged one by one."""
    for name in candidate.request.names[: candidate.policy.names_maximum]:
        if name not in candidate.spec.names:
            yield _why_not(name, candidate.policy)


def _why_not(name: SubjectName, policy: Policy) -> Problem:
    if "*" in name.value and name.kind is NameKind.DNS:
        fix = "Ask for each name by itself."
        return problem(ProblemCode.BAD_CERT_TEMPLATE, _SAN, name, "names without wildcards", fix)
    try:
        canonical(name)
    except NameSyntaxError as error:
        wrong = error.problems[0]
        return problem(ProblemCode.BAD_CERT_TEMPLATE, _SAN, name, wrong.allowed, wrong.fix)
    listed = [str(pattern) for pattern in policy.names if pattern.kind is name.kind]
    allowed = f"{name.kind} names: {', '.join(listed)}" if listed else f"no {name.kind} names"
    return problem(ProblemCode.NOT_AUTHORIZED, _SAN, name, allowed, f"Leave the name out, or {_ASK}.")


def issuer_keeps_its_name(candidate: Candidate) -> Iterator[Problem]:
    """No name is that of our own channel, whatever was agreed: other partners would take its holder for us."""
    for name in candidate.spec.names:
        if name.kind is NameKind.DNS and canonical(name) == candidate.context.endpoint:
            fix = "Leave the name out: it is the host name of the issuer's own channel."
            yield problem(ProblemCode.NOT_AUTHORIZED, _SAN, name, "names that are not the issuer's own", fix)


def common_name_is_a_dns_name(candidate: Candidate) -> Iterator[Problem]:
    """A common name, whether it is taken over or left out, repeats one of the DNS names (RFC 9525 section 2)."""
    field, allowed = "subject commonName", "one of the request's DNS names, or none"
    fix = "Leave the common name out, or repeat one of the DNS names in it."
    asked = [attribute.value for attribute in candidate.request.subject if attribute.oid == COMMON_NAME]
    if len(asked) > 1:
        yield problem(ProblemCode.BAD_CERT_TEMPLATE, field, f"{len(asked)} common names", "at most one", fix)
    hosts = [canonical(name) for name in candidate.spec.names if asked and name.kind is NameKind.DNS]
    for text in asked:
        if _dns_name(text) not in hosts:
            yield problem(ProblemCode.BAD_CERT_TEMPLATE, field, f"'{text}'", allowed, fix)


def _dns_name(text: str) -> DnsName | None:
    try:
        return DnsName(text)
    except NameSyntaxError:
        return None


def attributes_are_well_formed(candidate: Candidate) -> Iterator[Problem]:
    """What is taken over from the subject can stand in a certificate (RFC 5280 appendix A.1)."""
    for attribute in candidate.spec.subject:
        kind = type_of(attribute)
        field = f"subject {label(attribute.oid)}"
        if kind is not None and not kind.admits(attribute.value):
            fix = "Correct the attribute or leave it out."
            yield problem(ProblemCode.BAD_CERT_TEMPLATE, field, f"'{attribute.value}'", kind.wanted, fix)
        if attribute.oid == COMMON_NAME and len(attribute.value) > COMMON_NAME_CHARACTERS_MAXIMUM:
            allowed = f"at most {COMMON_NAME_CHARACTERS_MAXIMUM} characters"
            fix = "Leave the common name out: the DNS name alone is enough."
            yield problem(ProblemCode.BAD_CERT_TEMPLATE, field, f"'{attribute.value}'", allowed, fix)


def key_is_allowed(candidate: Candidate) -> Iterator[Problem]:
    """The key's kind is listed; RSA is neither weaker than agreed nor needlessly large."""
    key, policy = candidate.request.key, candidate.policy
    if key.kind not in policy.key_kinds:
        allowed = _listed("keys", policy.key_kinds)
        yield problem(ProblemCode.BAD_ALG, "public key", key.kind, allowed, "Generate a key of another kind.")
    if key.kind is KeyKind.RSA and not policy.rsa_bits_minimum <= key.bits <= RSA_BITS_MAX:
        allowed = f"RSA keys of {policy.rsa_bits_minimum} to {RSA_BITS_MAX} bits"
        fix = "Generate a key of an allowed size, or a P-256 key."
        yield problem(ProblemCode.BAD_ALG, "public key", f"RSA, {key.bits} bits", allowed, fix)


def key_is_not_shared(candidate: Candidate) -> Iterator[Problem]:
    """Nobody else has a certificate for this key. Who that is stays between us and them."""
    fix = "Generate a new key for this request."
    if candidate.context.key_holders - {candidate.context.requester}:
        got, allowed = "a key that another organisation has a certificate for", "a key of your own"
        yield problem(ProblemCode.NOT_AUTHORIZED, "public key", got, allowed, fix)
    elif candidate.context.key_holders and candidate.policy.key_reuse is KeyReuse.NEVER:
        got, allowed = "a key that you already have a certificate for", "a new key for every certificate"
        yield problem(ProblemCode.NOT_AUTHORIZED, "public key", got, allowed, fix)


def key_signs_nothing_else(candidate: Candidate) -> Iterator[Problem]:
    """The key is no CA's and no agent identity's, be it the requester's or ours: three kinds of key, never mixed."""
    if candidate.request.key.fingerprint in candidate.context.signing_keys:
        got, allowed = "the key of a CA or of an agent identity", "a key for the channel alone"
        fix = "Generate a new key for this request; it signs neither envelopes nor certificates."
        yield problem(ProblemCode.BAD_CERT_TEMPLATE, "public key", got, allowed, fix)


def hash_is_allowed(candidate: Candidate) -> Iterator[Problem]:
    """The request's own signature uses a listed hash; where the scheme fixes it, the kind of key says it all."""
    used, listed = candidate.request.signature_hash, candidate.policy.signature_hashes
    if used not in listed and used != KeyKind.ED25519:
        fix = "Sign the request with an allowed hash, for example: openssl req -new -sha256 ..."
        yield problem(ProblemCode.BAD_ALG, "request signature", used, _listed("hashes", listed), fix)


def usages_are_allowed(candidate: Candidate) -> Iterator[Problem]:
    """Every purpose is listed, and clientAuth, which the channel needs, is among them."""
    field, listed = "extendedKeyUsage", candidate.policy.extended_key_usages
    names = {oid: name for name, oid in USAGES.items()}
    allowed = _listed("usages", (names.get(oid, oid) for oid in listed))
    for oid in candidate.spec.extended_key_usages:
        if oid not in listed:
            fix = f"Leave the usage out, or {_ASK}."
            yield problem(ProblemCode.UNACCEPTED_EXTENSION, field, names.get(oid, oid), allowed, fix)
    if CLIENT_AUTH not in candidate.spec.extended_key_usages:
        fix = "Add clientAuth, or leave the extension out: it is then added for you."
        yield problem(ProblemCode.UNACCEPTED_EXTENSION, field, "a request without it", "clientAuth among others", fix)


def validity_is_left(candidate: Candidate) -> Iterator[Problem]:
    """The certificate ends after now: some lifetime was asked for, and the issuing CA still has some."""
    end, now = candidate.spec.not_after, candidate.context.now
    if end <= now:
        fix = "Ask for a longer lifetime; if it was long enough, tell the issuer's operator that its CA has expired."
        yield problem(ProblemCode.BAD_TIME, "validity", f"an end at {end:%FT%TZ}", f"an end after {now:%FT%TZ}", fix)


def _listed(what: str, allowed: Iterable[str]) -> str:
    return ", ".join(sorted(allowed)) or f"no {what} at all"


RULES: tuple[Callable[[Candidate], Iterator[Problem]], ...] = (
    size_is_bounded,
    names_are_counted,
    names_are_covered,
    issuer_keeps_its_name,
    common_name_is_a_dns_name,
    attributes_are_well_formed,
    key_is_allowed,
    key_is_not_shared,
    key_signs_nothing_else,
    hash_is_allowed,
    usages_are_allowed,
    validity_is_left,
)
"""In the order in which a requester reads the problems. All are always asked."""
