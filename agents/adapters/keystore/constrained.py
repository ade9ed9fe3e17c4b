"""What a CA with name constraints may certify (RFC 5280 section 4.2.1.10), said before its certificate leaves us.

Only an imported CA has such constraints. The verdict is that of the one path validator, which requesters ask too; here
it gets words for a requester who knows nothing of our CA. Left out: other limits of a CA, which `agent init` tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509

from protocol.certificate import subject_names
from protocol.errors import PathError, Problem, ProblemCode, problem
from protocol.path import Purpose, extension, verify_path


def has_name_constraints(*authorities: x509.Certificate) -> bool:
    """Whether any of these CAs is limited in the names that it may certify."""
    return any(extension(one, x509.NameConstraints) for one in authorities)


def require_permitted(leaf: x509.Certificate, issuing: x509.Certificate, root: x509.Certificate, now: datetime) -> None:
    """Raise `PathError`, with words for the requester, if `leaf` has no valid path as a channel client at `now`."""
    try:
        verify_path(leaf, [issuing], [root], Purpose.CHANNEL_CLIENT, now)
    except PathError as error:
        raise PathError(_not_permitted(leaf, (issuing, root), error.problems[0].got)) from error


def _not_permitted(leaf: x509.Certificate, authorities: Iterable[x509.Certificate], why: str) -> Problem:
    names = ", ".join(str(name) for name in subject_names(leaf))
    limits = "; ".join(dict.fromkeys(text for one in authorities for text in _limits(one)))
    fix = "Ask for names within these limits, or ask the issuer's operator for a CA that may certify yours."
    got = f"{names} ({why})"
    return problem(
        ProblemCode.NOT_AUTHORIZED, "subjectAltName", got, f"what the issuer's CA may certify: {limits}", fix
    )


def _limits(authority: x509.Certificate) -> Iterable[str]:
    constraints = extension(authority, x509.NameConstraints)
    if constraints is None:
        return
    for title, names in (("only", constraints.permitted_subtrees), ("not", constraints.excluded_subtrees)):
        if names:
            yield f"{title} {', '.join(f'{type(name).__name__} {_shown(name)}' for name in names)}"


def _shown(name: x509.GeneralName) -> str:
    return name.value.rfc4514_string() if isinstance(name, x509.DirectoryName) else str(name.value)
