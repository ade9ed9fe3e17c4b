"""What can be wrong with something that a partner sent, as values that can travel back to that partner.

A `Problem` is written for a reader in the other organisation, who cannot see our logs: it names the field,
what was got, what is allowed and what to do next. A `ProtocolError` carries at least one problem and is the
only exception that a parser in this package raises for bad input.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

PROBLEM_TEXT_MAX = 512
"""Longest text of one part of a problem, in characters: bounds what a partner can make us show or store."""

QUOTE_MAX = 160
"""Longest quotation of something received, in characters, before it is cut."""

PRINTABLE = "^[ -~]*$"
"""Text that people will read: printable ASCII on one line, so that a partner's cannot pass for lines of our own."""

ProblemText = Annotated[str, Field(max_length=PROBLEM_TEXT_MAX, pattern=PRINTABLE)]


class ProblemCode(StrEnum):
    """Failure names of RFC 9810 section 5.2.3 (PKIFailureInfo), those that this protocol uses."""

    BAD_ALG = "badAlg"
    BAD_MESSAGE_CHECK = "badMessageCheck"
    BAD_REQUEST = "badRequest"
    BAD_TIME = "badTime"
    BAD_CERT_ID = "badCertId"
    BAD_DATA_FORMAT = "badDataFormat"
    WRONG_AUTHORITY = "wrongAuthority"
    BAD_POP = "badPOP"
    UNACCEPTED_EXTENSION = "unacceptedExtension"
    BAD_CERT_TEMPLATE = "badCertTemplate"
    SIGNER_NOT_TRUSTED = "signerNotTrusted"
    TRANSACTION_ID_IN_USE = "transactionIdInUse"
    UNSUPPORTED_VERSION = "unsupportedVersion"
    NOT_AUTHORIZED = "notAuthorized"
    SYSTEM_FAILURE = "systemFailure"


class Problem(BaseModel):
    """One thing that is wrong: which field, what was got, what is allowed, what to do about it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    code: ProblemCode = Field(strict=False)
    field: ProblemText
    got: ProblemText
    allowed: ProblemText
    fix: ProblemText

    def __str__(self) -> str:
        return f"{self.field}: got {self.got}; allowed: {self.allowed}. {self.fix} [{self.code}]"


def problem(code: ProblemCode, field: str, got: object, allowed: str, fix: str) -> Problem:
    """Build a problem; `got` and `allowed` are escaped and cut, so text from a stranger may be passed as it is."""
    return Problem(
        code=code,
        field=printable(field),
        got=printable(got),
        allowed=printable(allowed, PROBLEM_TEXT_MAX),
        fix=printable(fix, PROBLEM_TEXT_MAX),
    )


def printable(value: object, limit: int = QUOTE_MAX) -> str:
    """Return `value` as text that is safe in a log, on a terminal and in a message.

    Printable ASCII, at most `limit` characters; everything else is escaped, and a cut marked with the original length.
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    safe = text[: limit + 1].encode("unicode_escape").decode("ascii")  # never shorter than what it is made of
    if len(safe) <= limit:
        return safe
    mark = f"... ({len(text)} characters)"
    return safe[: limit - len(mark)] + mark


class ProtocolError(ValueError):
    """The partner's fault: what was received breaks the protocol. Carries every problem found."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(p) for p in problems))
        self.problems = problems

    def as_value(self) -> Self:
        """Itself, to be kept. A traceback leads to the frames of all callers, hence to whoever keeps it: such a circle,
        with the messages in those frames, would stay in memory until the collector of circles comes by."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


class NameSyntaxError(ProtocolError):
    """A name, identifier or digest is not written as it must be."""


class MessageError(ProtocolError):
    """The content of a message is not one of the messages of this version."""


class EnvelopeError(ProtocolError):
    """An envelope cannot be opened: structure, algorithm, signer, signature, recipient or time."""


class RequestError(ProtocolError):
    """A certification request is not one well-formed PKCS#10 with proof of possession."""


class InvitationError(ProtocolError):
    """An invitation is malformed, expired, used up, or not for this agent."""


class PathError(ProtocolError):
    """A certificate does not lead to the expected trust anchor for the expected purpose."""
