"""How a certification request is refused: one problem, in words for the person who made the request."""

from __future__ import annotations

from protocol.errors import ProblemCode, RequestError, problem

MAKE_AGAIN = "Make a new request with `agent enroll` or `openssl req -new` and send its bytes unaltered."


def refusal(code: ProblemCode, field: str, got: object, allowed: str, fix: str = MAKE_AGAIN) -> RequestError:
    """The error to raise. `got` may be text or bytes from a stranger; it is escaped and cut."""
    return RequestError(problem(code, field, got, allowed, fix))


def malformed(field: str, got: object, allowed: str) -> RequestError:
    """The error to raise where the encoding itself is not as it must be."""
    return refusal(ProblemCode.BAD_DATA_FORMAT, field, got, allowed)
