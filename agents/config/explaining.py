"""Why a configuration file cannot be used: the key, what was got, what is wanted, and the nearest known key."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_WANTED = {
    "missing": "is missing; add it",
    "model_type": "wanted a section, [{key}]",
    "dict_type": "wanted a section, [{key}]",
    "list_type": 'wanted a list, as in ["one", "another"]',
    "string_type": "wanted text in quotes",
    "int_type": "wanted a whole number, without quotes",
    "literal_error": "wanted {expected}",
    "enum": "wanted {expected}",
    "greater_than_equal": "wanted {ge} or more",
    "less_than_equal": "wanted {le} or less",
    "string_too_short": "wanted at least {min_length} characters",
    "string_too_long": "wanted at most {max_length} characters",
}
"""Types of pydantic's errors -> what we say; what is not listed says it in words of its own."""


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """Every fault of a configuration file, one a line. Unknown keys come first: they explain what else is missing."""
    items = sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")
    return "\n".join(_line(dict(item), model, source) for item in items)


def _line(item: dict[str, Any], model: type[BaseModel], source: str) -> str:
    *place, last = [str(part) for part in item["loc"]] or ["?"]
    key = ".".join([*place, last])
    if item["type"] == "extra_forbidden":
        return f"{source}: unknown key '{key}'; {_hint(model, place, last)}"
    got = "" if item["type"] == "missing" else f" (got {_quoted(item['input'])})"
    return f"{source}: {key}: {_wanted(item, key)}{got}"


def _wanted(item: dict[str, Any], key: str) -> str:
    if item["type"] in _WANTED:
        return _WANTED[item["type"]].format(key=key, **item.get("ctx", {}))
    return str(item["msg"]).removeprefix("Value error, ")


def _quoted(value: object) -> str:
    """A value from a file, cut; not one that may be a URL with a password in it, under whatever key it stands."""
    text = repr(value)
    return "a value that is not shown: it may hold a password" if "@" in text and ":" in text else f"{text:.80}"


def _hint(model: type[BaseModel], place: list[str], unknown: str) -> str:
    """The known key most like an unknown one, with its section: in the same section if there is one, else elsewhere."""
    here = sorted(_fields_at(model, place))
    elsewhere = {name: section for section in model.model_fields for name in _fields_at(model, [section])}
    if nearest := difflib.get_close_matches(unknown, here, n=1):
        return f"did you mean '{'.'.join([*place, nearest[0]])}'?"
    if nearest := difflib.get_close_matches(unknown, sorted(set(elsewhere) - set(model.model_fields)), n=1):
        return f"did you mean '{elsewhere[nearest[0]]}.{nearest[0]}'?"
    return f"known here: {', '.join(here)}."


def _fields_at(model: type[BaseModel], place: list[str]) -> set[str]:
    """Names that the section at `place` may hold."""
    for part in place:
        found = model.model_fields.get(part)
        if found is None:
            continue
        inner = [kind for kind in (found.annotation, *_all_args(found.annotation)) if isinstance(kind, type)]
        model = next((kind for kind in inner if issubclass(kind, BaseModel)), model)
    return set(model.model_fields)


def _all_args(annotation: Any) -> list[Any]:
    found = list(get_args(annotation))
    return found + [inner for arg in found for inner in _all_args(arg)]
