"""Extensions that a request asks for (RFC 2985 section 5.4.2): names and purposes are read, the rest is left out.

Nothing is copied into a certificate. What would mean something else if it were left out (a CA certificate, an
extension marked critical that is not known here) is refused instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from protocol.csr import der
from protocol.csr.alternative_names import parse_names
from protocol.csr.facts import SubjectName
from protocol.csr.refusals import refusal
from protocol.errors import ProblemCode, RequestError

EXTENSIONS_MAX = 16
"""Most extensions in one request; real ones have fewer than ten."""

PURPOSES_MAX = 16
"""Most extended key usages in one request; real ones have one or two."""

SUBJECT_ALTERNATIVE_NAME, EXTENDED_KEY_USAGE, BASIC_CONSTRAINTS = "2.5.29.17", "2.5.29.37", "2.5.29.19"

_FIELD = "CSR extensions"
_PURPOSE_FIELD = "CSR extended key usage"
_TRUE = b"\xff"
_END_ENTITY = b"\x30\x00"
_LEFT_OUT = {
    "2.5.29.14": "subject key identifier: the issuer computes it",
    "2.5.29.35": "authority key identifier: the issuer computes it",
    "2.5.29.15": "key usage: the profile decides it",
    BASIC_CONSTRAINTS: "basic constraints (not a CA): the profile decides them",
}


class _Extension(NamedTuple):
    oid: str
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class RequestedExtensions:
    """What the extensions of a request ask for; `left_out` is in words for its sender."""

    names: tuple[SubjectName, ...] = ()
    extended_key_usages: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def parse_extensions(encoded: bytes) -> RequestedExtensions:
    """What one Extensions value asks for.

    Raises `RequestError` for an extension that stands twice, is not encoded as it must be, or cannot be left out.
    """
    sequence = der.only_element(encoded, der.SEQUENCE, _FIELD)
    extensions = [_extension(item) for item in der.items(sequence, _FIELD, der.SEQUENCE, EXTENSIONS_MAX)]
    values = {extension.oid: extension.value for extension in extensions}
    if len(values) != len(extensions):
        raise _refused("the same extension twice", "each extension once")
    names, purposes = values.get(SUBJECT_ALTERNATIVE_NAME), values.get(EXTENDED_KEY_USAGE)
    return RequestedExtensions(
        parse_names(names) if names is not None else (),
        _purposes(purposes) if purposes is not None else (),
        tuple(_leave_out(e) for e in extensions if e.oid not in (SUBJECT_ALTERNATIVE_NAME, EXTENDED_KEY_USAGE)),
    )


def _extension(item: der.Element) -> _Extension:
    """RFC 5280 section 4.1.2.9. FALSE is the default of `critical` and therefore never written (X.690 section 11.5)."""
    parts = der.choices(item, _FIELD, most=3, least=2)
    critical = parts[1:-1]
    if [part.tag for part in (parts[0], parts[-1])] != [der.OBJECT_IDENTIFIER, der.OCTET_STRING]:
        raise _refused("an extension without identifier or value", "identifier, critical (if TRUE), value")
    if any(part.tag != der.BOOLEAN or part.content != _TRUE for part in critical):
        raise _refused("an extension whose 'critical' is not TRUE in DER", "TRUE, or nothing for FALSE")
    return _Extension(der.object_identifier(parts[0].content, _FIELD), bool(critical), parts[-1].content)


def _purposes(value: bytes) -> tuple[str, ...]:
    """RFC 5280 section 4.2.1.12: at least one, each once."""
    sequence = der.only_element(value, der.SEQUENCE, _PURPOSE_FIELD)
    purposes = tuple(
        der.object_identifier(item.content, _PURPOSE_FIELD)
        for item in der.items(sequence, _PURPOSE_FIELD, der.OBJECT_IDENTIFIER, PURPOSES_MAX)
    )
    if len(set(purposes)) != len(purposes):
        raise _refused("the same extended key usage twice", "each extended key usage once")
    return purposes


def _leave_out(extension: _Extension) -> str:
    if extension.oid == BASIC_CONSTRAINTS and extension.value != _END_ENTITY:
        fix = "Leave basicConstraints out, or write CA:FALSE: this issuer certifies end entities only."
        raise _refused(
            "basicConstraints for a CA, or not in DER", "basicConstraints with CA:FALSE and no path length", fix
        )
    words = _LEFT_OUT.get(extension.oid)
    if words is None and extension.critical:
        fix = f"Leave extension {extension.oid} out, or do not mark it critical."
        raise _refused(f"critical extension {extension.oid}", "critical only for extensions that the issuer knows", fix)
    return f"extension {words or f'{extension.oid}: not one that this issuer certifies'}"


def _refused(got: str, allowed: str, fix: str = "Ask for each extension once, encoded in DER.") -> RequestError:
    return refusal(ProblemCode.UNACCEPTED_EXTENSION, _FIELD, got, allowed, fix)
