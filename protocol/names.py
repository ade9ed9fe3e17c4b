"""Names and identifiers that cross between organisations: text that is parsed once and cannot be wrong afterwards.

Each class is a `str` whose value is canonical. Constructing one from anything else raises `NameSyntaxError`.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, ClassVar, Self

import idna
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from protocol.errors import NameSyntaxError, Problem, ProblemCode, problem

SERIAL_BITS = 159
"""Random bits of a serial number: positive and at most 20 octets in DER (RFC 5280 section 4.1.2.2)."""


class Name(str):
    """Text in one canonical form. Subclasses give the grammar; `check` may add what a pattern cannot say."""

    kind: ClassVar[str]
    grammar: ClassVar[re.Pattern[str]]
    wanted: ClassVar[str]
    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises `NameSyntaxError`."""
        if not cls.grammar.fullmatch(text) or not cls.check(text):
            raise NameSyntaxError(cls._problem(text))
        return super().__new__(cls, text)

    @classmethod
    def check(cls, text: str) -> bool:  # noqa: ARG003 (here the grammar says everything)
        """Whether text that matches the grammar is a name."""
        return True

    @classmethod
    def _problem(cls, text: str) -> Problem:
        fix = f"Write the {cls.kind} exactly in that form."
        return problem(ProblemCode.BAD_DATA_FORMAT, cls.kind, f"'{text}'", cls.wanted, fix)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True, max_length=4096))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """What docs/PROTOCOL.md says of a field that holds such a name."""
        return {"type": "string", "title": cls.kind, "description": cls.wanted}


class OrganisationName(Name):
    """Short name of an organisation: one DNS label, so that it can stand in a queue name, a URI and a file name."""

    kind = "organisation name"
    grammar = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
    wanted = "1 to 63 of a-z, 0-9 and '-', not beginning or ending with '-' (for example client-b)"


class TransactionId(Name):
    """Ties the messages of one enrollment together (RFC 9810 section 5.1.1): a UUID of version 7 (RFC 9562)."""

    kind = "transaction id"
    grammar = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    wanted = "a UUID of version 7 in lower case"


class InvitationId(Name):
    """Names one invitation; says nothing about its secret."""

    kind = "invitation id"
    grammar = re.compile(r"[0-9a-f]{32}")
    wanted = "32 lower-case hexadecimal digits"


class Fingerprint(Name):
    """SHA-256 of some bytes, in hexadecimal."""

    kind = "SHA-256 fingerprint"
    grammar = re.compile(r"[0-9a-f]{64}")
    wanted = "64 lower-case hexadecimal digits"

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The fingerprint of `data`."""
        return str.__new__(cls, hashlib.sha256(data).hexdigest())  # in that form already


class SerialNumber(Name):
    """Serial number of a certificate in hexadecimal: positive, at most 20 octets (RFC 5280 section 4.1.2.2)."""

    kind = "serial number"
    grammar = re.compile(r"[1-9a-f][0-9a-f]{0,39}")
    wanted = "1 to 40 lower-case hexadecimal digits without leading zeros, below 2^159"

    @classmethod
    def check(cls, text: str) -> bool:
        """At most 20 octets, and positive: the first bit of 160 is the sign."""
        return int(text, 16).bit_length() <= SERIAL_BITS

    @classmethod
    def from_int(cls, number: int) -> Self:
        """The serial number `number`; raises `NameSyntaxError` unless it is positive and below 2^159."""
        return cls(f"{number:x}")

    def to_int(self) -> int:
        """The serial number as an integer."""
        return int(self, 16)


class DnsName(Name):
    """A host name in the preferred syntax (RFC 1034 section 3.5, RFC 1123 section 2.1) as a certificate may carry it.

    ASCII, no wildcard, no trailing dot, labels of 1 to 63 octets, at most 253 octets; A-labels are valid IDNA2008
    (RFC 5890). Kept in lower case: comparison of DNS names ignores ASCII case (RFC 4343).
    """

    kind = "DNS name"
    grammar = re.compile(
        r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?![0-9]+\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    )
    wanted = "letters, digits and '-' in labels of 1 to 63, at most 253 in all, no wildcard, no trailing dot"

    def __new__(cls, text: str) -> Self:
        """Parse `text`, upper case included; raises `NameSyntaxError`."""
        return super().__new__(cls, ascii_lower(text))

    @classmethod
    def check(cls, text: str) -> bool:
        """Whether every label may stand in a DNS name by the rules of IDNA2008."""
        return all(_label_is_permitted(label) for label in text.split("."))


def ascii_lower(text: str) -> str:
    """Lower the case of ASCII letters only: Unicode lowering would turn U+212A KELVIN SIGN into 'k'."""
    return text.lower() if text.isascii() else text


def _label_is_permitted(label: str) -> bool:
    """RFC 5890 section 2.3.1: '--' in third and fourth place is for A-labels, and those must be valid ones."""
    if label[2:4] != "--":
        return True
    try:
        return idna.alabel(idna.ulabel(label)).decode("ascii") == label
    except UnicodeError:  # what idna raises is one
        return False


def agent_uri(organisation: OrganisationName) -> str:
    """The one URI name (RFC 5280 section 4.2.1.6) that an organisation's agent identity certificate carries."""
    return f"apostille:{organisation}/agent"


def organisation_of_agent_uri(uri: str) -> OrganisationName:
    """The organisation whose agent carries `uri`. Raises `NameSyntaxError` unless `agent_uri` can have made it."""
    inner = uri.removeprefix("apostille:").removesuffix("/agent")
    name = OrganisationName(inner)
    if agent_uri(name) != uri:
        fix = "Use the agent identity that `agent init` made."
        raise NameSyntaxError(problem(ProblemCode.BAD_DATA_FORMAT, "agent URI", uri, "apostille:NAME/agent", fix))
    return name
