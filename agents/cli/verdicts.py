"""A verdict on a certification request, for machines and for people: what would be issued and why, or why not."""

from __future__ import annotations

from typing import assert_never

from agents.cli.output import at, fields, problem_text
from agents.core.agreement import USAGES
from agents.core.policy import Approved, Grant, Held, Refused, Verdict
from agents.core.subject import label
from protocol.csr import SubjectAttribute, SubjectName, key_facts
from protocol.errors import printable

_USAGE_NAMES = {oid: name for name, oid in USAGES.items()}


def result_of(verdict: Verdict) -> dict[str, object]:
    """The verdict as data: `verdict` is "approved", "held" or "refused"."""
    match verdict:
        case Refused(problems):
            return {"verdict": "refused", "problems": problems}
        case Held() as held:
            return {"verdict": "held", "reason": held.reason, "certificate": _certificate(held), "notes": held.notes}
        case Approved() as approved:
            return {"verdict": "approved", "certificate": _certificate(approved), "notes": approved.notes}
        case never:
            assert_never(never)


def text_of(verdict: Verdict) -> str:
    """The same for people."""
    match verdict:
        case Refused(problems):
            return "\n".join(["Refused. Nothing would be issued.", *map(problem_text, problems)])
        case Held() as held:
            return f"Held: {held.reason}. Then this would be issued:\n{_certificate_text(held)}"
        case Approved() as approved:
            return f"Approved. This would be issued:\n{_certificate_text(approved)}"
        case never:
            assert_never(never)


def _certificate(verdict: Approved | Held) -> dict[str, object]:
    spec, key = verdict.spec, key_facts(verdict.spec.public_key)
    return {
        "subject": [_granted(grant) for grant in verdict.grants if isinstance(grant.item, SubjectAttribute)],
        "names": [_granted(grant) for grant in verdict.grants if isinstance(grant.item, SubjectName)],
        "key": {"kind": key.kind, "bits": key.bits, "fingerprint": key.fingerprint},
        "extended_key_usages": [_USAGE_NAMES[oid] for oid in spec.extended_key_usages],
        "not_before": spec.not_before,
        "not_after": spec.not_after,
    }


def _granted(grant: Grant) -> dict[str, str]:
    return {"name": _written(grant.item), "rule": grant.rule}


def _written(item: SubjectName | SubjectAttribute) -> str:
    return printable(f"{label(item.oid)}={item.value}" if isinstance(item, SubjectAttribute) else item, 2048)


def _certificate_text(verdict: Approved | Held) -> str:
    spec, key = verdict.spec, key_facts(verdict.spec.public_key)
    granted = [(_written(grant.item), f"let in by {grant.rule}") for grant in verdict.grants]
    if not spec.subject:
        granted.append(("no subject", "the names alone say who holds the certificate"))
    facts = [
        ("key", f"{key.kind}, {key.bits} bits, SHA-256 {key.fingerprint}"),
        ("usages", ", ".join(_USAGE_NAMES[oid] for oid in spec.extended_key_usages)),
        ("valid", f"{at(spec.not_before)} to {at(spec.not_after)}"),
        *(("note", note) for note in verdict.notes),
    ]
    return f"{fields(granted)}\n{fields(facts)}"
