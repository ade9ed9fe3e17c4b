"""Whose certificate it is: the agent's URI name, the server's DNS name. Says nothing about who signed it."""

from __future__ import annotations

from cryptography import x509

from protocol.errors import NameSyntaxError, PathError, ProblemCode, problem
from protocol.names import DnsName, OrganisationName, organisation_of_agent_uri
from protocol.path.load import extension


def agent_organisation(leaf: x509.Certificate) -> OrganisationName:
    """The organisation whose agent identity `leaf` is.

    It has exactly one subject alternative name, the URI that `protocol.names.agent_uri` makes. Says nothing about who
    signed it. Raises `PathError`.
    """
    names = list(_alternative_names(leaf))
    wanted = "exactly one name, the URI apostille:NAME/agent"
    if len(names) != 1 or not isinstance(names[0], x509.UniformResourceIdentifier):
        raise _wrong_name(_shown(names), wanted)
    try:
        return organisation_of_agent_uri(names[0].value)
    except NameSyntaxError as error:
        raise _wrong_name(_shown(names), wanted) from error


def check_server_name(leaf: x509.Certificate, server_name: DnsName | None) -> None:
    """Raise `PathError` unless a DNS name of `leaf` is `server_name`, compared whole: a wildcard never matches.

    RFC 9525 section 6; the subject's common name is not looked at.
    """
    names = _alternative_names(leaf)
    found = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    if server_name not in found:
        raise _wrong_name(_shown(list(names)), f"DNS:{server_name}" if server_name else "the name that was dialled")


def _alternative_names(leaf: x509.Certificate) -> x509.SubjectAlternativeName:
    return extension(leaf, x509.SubjectAlternativeName) or x509.SubjectAlternativeName([])


def _wrong_name(got: str, allowed: str) -> PathError:
    fix = "Use the certificate that was issued for this name, or correct the name that is expected."
    return PathError(problem(ProblemCode.SIGNER_NOT_TRUSTED, "subject alternative name", got, allowed, fix))


def _shown(names: list[x509.GeneralName]) -> str:
    return ", ".join(f"{type(name).__name__} {name.value}" for name in names) or "none"
