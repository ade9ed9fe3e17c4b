#!/usr/bin/env python3
"""Write the generated sections of docs/PROTOCOL.md from the code of `protocol`; --check only says if they are stale.

A section stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from protocol import errors, messages
from protocol.transaction import Role, mermaid

DOCUMENT = Path(__file__).parents[1] / "docs" / "PROTOCOL.md"
SECTION = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
MODELS: tuple[type[BaseModel], ...] = (
    messages.Message,
    messages.EnrollmentRequest,
    messages.InvitationProof,
    messages.EnrollmentReply,
    messages.Issued,
    messages.Endpoint,
    messages.Pending,
    messages.Refused,
    errors.Problem,
    messages.EnrollmentConfirmation,
    messages.Verified,
    messages.PeerView,
    messages.Delivered,
    messages.Rejected,
    messages.EnrollmentAcknowledgement,
    messages.ChannelStatement,
    messages.ChannelRefusal,
)
TAGS = ("version", "type", "outcome")
"""Fields with one possible value, which the code fills in when it makes a message and demands when it reads one."""

LIMITED = ("messages", "errors", "envelope", "invitation", "topology", "path.verify")
LIMITED_CSR = ("csr.file", "csr.attributes", "csr.extensions", "csr.alternative_names", "csr.subject")


def main(arguments: list[str]) -> int:
    """Write the document, or with --check return 1 if it is not as it would be written."""
    found = DOCUMENT.read_text(encoding="utf-8")
    wanted = SECTION.sub(_written, found)
    if found == wanted:
        return 0
    if "--check" in arguments:
        sys.stderr.write("docs/PROTOCOL.md does not say what the code does any more: run `make docs`.\n")
        return 1
    DOCUMENT.write_text(wanted, encoding="utf-8")
    return 0


def _written(section: re.Match[str]) -> str:
    return f"{section[1]}\n{SECTIONS[section['name']]()}\n\n{section[3]}"


def models() -> str:
    """A table of fields for every model."""
    return "\n\n".join(_model(model) for model in MODELS)


def _model(model: type[BaseModel]) -> str:
    schema = model.model_json_schema(mode="validation")
    rows = [
        f"| `{name}` | {'yes' if name in {*schema.get('required', ()), *TAGS} else 'no'} | {_value(field)} |"
        for name, field in schema["properties"].items()
    ]
    head = [f"### {model.__name__}", "", inspect.cleandoc(model.__doc__ or ""), "", "| field | required | value |"]
    return "\n".join([*head, "|---|---|---|", *rows])


def _value(field: dict[str, Any]) -> str:  # noqa: PLR0911 (one line for each kind)
    """What a field may hold, in words, from its JSON schema."""
    match field:
        case {"$ref": ref}:
            return _reference(ref)
        case {"oneOf": choices} | {"anyOf": choices}:
            return " or ".join(_value(choice) for choice in choices if choice.get("type") != "null")
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            return f"list of {_range(field, 'Items')}: {_value(items)}"
        case {"type": "integer"}:
            return f"integer, {field['minimum']} to {field['maximum']}"
        case {"format": "date-time"}:
            return "time with zone (RFC 3339)"
        case {"format": "base64url"}:
            return f"base64url of {_range(field, 'Length')} bytes"
        case {"description": grammar}:
            return f"{field['title']}: {grammar}"
        case _:
            kind = "printable ASCII text" if field.get("pattern") == errors.PRINTABLE else "text"
            return f"{kind} of at most {field['maxLength']} characters"


def _reference(ref: str) -> str:
    name = ref.rpartition("/")[2]
    return "a code of the table above" if name == errors.ProblemCode.__name__ else f"[{name}](#{name.lower()})"


def _range(field: dict[str, Any], unit: str) -> str:
    least, most = field.get(f"min{unit}", 0), field[f"max{unit}"]
    return f"{most}" if least == most else f"{least} to {most}"


def states(role: Role) -> str:
    """The transition table of a role as a diagram."""
    return f"```mermaid\n{mermaid(role)}\n```"


def limits(names: tuple[str, ...]) -> str:
    """Every named limit of some modules, its value, and what the text below it says."""
    rows = [f"| `{name}` | {value} | {reason} |" for module in names for name, value, reason in _limits(module)]
    return "\n".join(["| limit | value | why |", "|---|---|---|", *rows])


def _limits(name: str) -> Iterator[tuple[str, str, str]]:
    module = import_module(f"protocol.{name}")
    statements = ast.parse(inspect.getsource(module)).body
    for statement, below in pairwise(statements):
        match statement, below:
            case (
                ast.Assign(targets=[ast.Name(id=constant)]) | ast.AnnAssign(target=ast.Name(id=constant)),
                ast.Expr(value=ast.Constant(value=str(reason))),
            ) if re.search(r"_(MAX|MIN|LIMIT)$", constant):
                yield constant, _shown(getattr(module, constant)), " ".join(reason.split())


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.days} days" if value.days else f"{value.seconds // 60} minutes"
    return str(value)


SECTIONS: dict[str, Callable[[], str]] = {
    "models": models,
    "requester-states": lambda: states(Role.REQUESTER),
    "issuer-states": lambda: states(Role.ISSUER),
    "limits": lambda: limits(LIMITED),
    "csr-limits": lambda: limits(LIMITED_CSR),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
