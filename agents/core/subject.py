"""The subject of an issued certificate (RFC 5280 section 4.1.2.6): what is stamped on it and what is taken over.

Left out: who the subject is. That is said by the alternative names; these attributes are for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.x509.oid import NameOID

from agents.core.agreement import CommonName, Policy
from protocol.csr import SubjectAttribute

COMMON_NAME = NameOID.COMMON_NAME.dotted_string


@dataclass(frozen=True, slots=True)
class AttributeType:
    """An attribute that a policy can allow or stamp: its X.520 name, its OID and what its text may be."""

    name: str
    oid: str
    grammar: re.Pattern[str]
    wanted: str

    def admits(self, value: str) -> bool:
        """Whether `value` can stand in a certificate: printable, so without controls and text direction marks."""
        return value.isprintable() and value.strip() == value and self.grammar.fullmatch(value) is not None


def _text(name: str, oid: str, most: int) -> AttributeType:
    return AttributeType(name, oid, re.compile(f".{{1,{most}}}"), f"1 to {most} printable characters")


# Upper bounds: RFC 5280 appendix A.1. Country and serial number are PrintableString (X.680 section 41.4).
ATTRIBUTES = (
    AttributeType("countryName", "2.5.4.6", re.compile("[A-Z]{2}"), "two capital letters (ISO 3166)"),
    _text("stateOrProvinceName", "2.5.4.8", 128),
    _text("localityName", "2.5.4.7", 128),
    _text("organizationName", "2.5.4.10", 64),
    _text("organizationalUnitName", "2.5.4.11", 64),
    AttributeType(
        "serialNumber", "2.5.4.5", re.compile("[A-Za-z0-9 '()+,./:=?-]{1,64}"), "1 to 64 PrintableString characters"
    ),
)
"""All but the common name, which has a rule of its own."""

_BY_OID = {kind.oid: kind for kind in ATTRIBUTES}
BY_NAME = {kind.name: kind for kind in ATTRIBUTES}


def label(oid: str) -> str:
    """The name of an attribute type; its OID where it has none here."""
    return "commonName" if oid == COMMON_NAME else _BY_OID[oid].name if oid in _BY_OID else oid


def type_of(attribute: SubjectAttribute) -> AttributeType | None:
    """The type of an attribute that a policy can allow; None for the common name and for what none can."""
    return _BY_OID.get(attribute.oid)


def subject_with_rules(asked: tuple[SubjectAttribute, ...], policy: Policy) -> Iterator[tuple[SubjectAttribute, str]]:
    """The attributes that the certificate gets, each with the rule that lets it in: stamped ones first."""
    for attribute in policy.subject_stamped:
        yield attribute, f"subject.stamp.{label(attribute.oid)}"
    stamped = {attribute.oid for attribute in policy.subject_stamped}
    for attribute in asked:
        if attribute.oid == COMMON_NAME:
            if policy.common_name is CommonName.DNS_NAME:
                yield attribute, f"subject.common_name = {policy.common_name}"
        elif attribute.oid in policy.subject_taken - stamped:
            yield attribute, f"subject.take {label(attribute.oid)}"
