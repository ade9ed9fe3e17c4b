"""What a policy file can say, as a validated type, and the one conversion from that to the domain's `Policy`.

What a file leaves out has the defaults below. An empty list allows nothing of its kind; there is no way to write that
everything is allowed.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from agents.config.reading import at_most, read_duration
from agents.core.agreement import USAGES, Approval, CommonName, KeyReuse, Policy
from agents.core.patterns import NamePattern, parse_pattern
from agents.core.subject import BY_NAME
from protocol.csr import KeyKind, NameKind, SubjectAttribute
from protocol.errors import NameSyntaxError
from protocol.messages import CSR_MAX, SHOWN_NAMES_MAX
from protocol.path import RSA_BITS_MAX, RSA_BITS_MIN

LIFETIME_LIMIT = timedelta(days=3650)
"""Longest lifetime that any policy can allow; a root made by `agent init` lives no longer."""


def _pattern(kind: NameKind, value: object) -> NamePattern:
    if not isinstance(value, str):
        raise ValueError("wanted text")  # noqa: TRY004 - pydantic turns a ValueError into its own
    try:
        return parse_pattern(kind, value)
    except NameSyntaxError as error:
        forms = "NAME, *.NAME (one label more) or **.NAME (one or more labels more), with NAME in "
        allowed = error.problems[0].allowed
        raise ValueError(f"wanted {forms if kind is NameKind.DNS else ''}{allowed}") from None


def _attribute_name(value: str) -> str:
    if value not in BY_NAME:
        raise ValueError(f"wanted one of {', '.join(BY_NAME)}")
    return value


def _stamp(values: dict[str, str]) -> dict[str, str]:
    for name, value in values.items():
        if not BY_NAME[_attribute_name(name)].admits(value):
            raise ValueError(f"wanted {BY_NAME[name].wanted} as {name}")
    return values


AttributeName = Annotated[str, AfterValidator(_attribute_name)]
Duration = Annotated[timedelta, BeforeValidator(read_duration), AfterValidator(at_most(LIFETIME_LIMIT))]
Usage = Literal["clientAuth", "serverAuth"]
Hash = Literal["SHA-256", "SHA-384", "SHA-512"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Names(_Section):
    """Subject alternative names."""

    dns: list[Annotated[NamePattern, PlainValidator(partial(_pattern, NameKind.DNS))]] = []
    uri: list[Annotated[NamePattern, PlainValidator(partial(_pattern, NameKind.URI))]] = []
    email: list[Annotated[NamePattern, PlainValidator(partial(_pattern, NameKind.EMAIL))]] = []
    ip: list[Annotated[NamePattern, PlainValidator(partial(_pattern, NameKind.IP))]] = []
    maximum: Annotated[int, Field(ge=1, le=SHOWN_NAMES_MAX)] = 10  # as many as a channel statement can report


class Subject(_Section):
    """The rest of the subject."""

    common_name: Annotated[CommonName, Field(strict=False)] = CommonName.ABSENT
    take: list[AttributeName] = []
    stamp: Annotated[dict[str, str], AfterValidator(_stamp)] = {}


class Keys(_Section):
    """Public keys.

    RSA of 2048 bits is the default minimum because `openssl req` makes such requests unless told otherwise; P-521
    works but is not a default because not every TLS stack offers it.
    """

    kinds: list[Annotated[KeyKind, Field(strict=False)]] = [KeyKind.P256, KeyKind.P384, KeyKind.ED25519, KeyKind.RSA]
    rsa_minimum: Annotated[int, Field(ge=RSA_BITS_MIN, le=RSA_BITS_MAX)] = 2048
    reuse: Annotated[KeyReuse, Field(strict=False)] = KeyReuse.SAME_PARTNER


class Request(_Section):
    """The certification request itself."""

    hashes: list[Hash] = ["SHA-256", "SHA-384", "SHA-512"]
    maximum_bytes: Annotated[int, Field(ge=1, le=CSR_MAX)] = 8192


class Lifetime(_Section):
    """How long certificates live. Without a default it is 30 days, or the maximum if that is less."""

    default: Duration | None = None
    maximum: Duration = timedelta(days=90)

    @model_validator(mode="after")
    def _default_is_within_maximum(self) -> Self:
        if self.granted_by_default > self.maximum:
            raise ValueError("wanted a default that is not longer than the maximum")
        return self

    @property
    def granted_by_default(self) -> timedelta:
        """What is granted to who asks for nothing."""
        return self.default or min(timedelta(days=30), self.maximum)


class PolicyFile(_Section):
    """The whole file."""

    approval: Annotated[Approval, Field(strict=False)] = Approval.AUTOMATIC
    extended_key_usages: list[Usage] = ["clientAuth"]
    names: Names = Names()
    subject: Subject = Subject()
    keys: Keys = Keys()
    request: Request = Request()
    lifetime: Lifetime = Lifetime()

    def to_policy(self) -> Policy:
        """The same, as the domain knows it."""
        return Policy(
            names=(*self.names.dns, *self.names.uri, *self.names.email, *self.names.ip),
            names_maximum=self.names.maximum,
            common_name=self.subject.common_name,
            subject_taken=frozenset(BY_NAME[name].oid for name in self.subject.take),
            subject_stamped=tuple(
                SubjectAttribute(BY_NAME[name].oid, text) for name, text in self.subject.stamp.items()
            ),
            key_kinds=frozenset(self.keys.kinds),
            rsa_bits_minimum=self.keys.rsa_minimum,
            key_reuse=self.keys.reuse,
            signature_hashes=frozenset(self.request.hashes),
            extended_key_usages=frozenset(USAGES[name] for name in self.extended_key_usages),
            lifetime_default=self.lifetime.granted_by_default,
            lifetime_maximum=self.lifetime.maximum,
            request_bytes_maximum=self.request.maximum_bytes,
            approval=self.approval,
        )
