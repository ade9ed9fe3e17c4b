"""JSON objects have each member once (RFC 7493 section 2.3): of two with one name, readers take the first or the last.

The reader that fills the models takes the last and cannot be told otherwise, so names are looked at here by themselves.
"""

from __future__ import annotations

import json
from collections import Counter

from protocol.errors import MessageError, ProblemCode, problem


def refuse_repeated_members(data: bytes) -> None:
    """Refuse JSON in which an object, at any depth, has a member more than once. Raises `MessageError`.

    Costs less than a tenth of the signature check that comes before it.
    """
    try:
        _READER.decode(data.decode())
    except MessageError:
        raise
    except (ValueError, RecursionError):  # no text, no JSON, nested too deeply, a number of five thousand digits
        fix = "Send JSON that every reader reads (RFC 7493)."
        got, allowed = "JSON that cannot be read here", "JSON with numbers of a usual size"
        raise MessageError(problem(ProblemCode.BAD_DATA_FORMAT, "message", got, allowed, fix)) from None


def _require_once(members: list[tuple[str, object]]) -> None:
    if len(dict(members)) == len(members):
        return
    name, times = Counter(name for name, _ in members).most_common(1)[0]
    fix = "Write it once; two readers could take different ones of them."
    raise MessageError(problem(ProblemCode.BAD_DATA_FORMAT, name, f"the member {times} times", "each member once", fix))


_READER = json.JSONDecoder(object_pairs_hook=_require_once)
