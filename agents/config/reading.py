"""Reading configuration files: bounded, and with errors that name the key, what was got and the nearest known key."""

from __future__ import annotations

import difflib
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from agents.errors import ConfigurationError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_text(path: Path, size_max: int) -> str:
    """The text of a file of at most `size_max` bytes. Raises `ConfigurationError`."""
    try:
        with path.open("rb") as file:
            data = file.read(size_max + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}. Check that it exists and is readable."
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not text in UTF-8.") from None
    if len(data) > size_max:
        raise ConfigurationError(f"{path} is larger than {size_max} bytes, which no such file needs to be.")
    return text


def read_duration(value: object) -> timedelta:
    """A duration written as a number and a unit: `90s`, `45m`, `12h`, `30d`. Raises `ValueError`."""
    match = re.fullmatch(r"([0-9]{1,7})([smhd])", value, re.ASCII) if isinstance(value, str) else None
    if not match:
        raise ValueError("wanted a duration such as 45m, 12h or 30d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def show_duration(duration: timedelta) -> str:
    """A whole number of seconds as `read_duration` reads it, in the largest unit that says it exactly."""
    units = {unit: timedelta(**{name: 1}) for unit, name in _UNITS.items()}
    unit = max((unit for unit in units if not duration % units[unit]), key=units.__getitem__)
    return f"{duration // units[unit]}{unit}"


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """Every fault of a configuration file, one a line."""
    return "\n".join(_line(dict(item), model, source) for item in error.errors(include_url=False))


def _line(item: dict[str, Any], model: type[BaseModel], source: str) -> str:
    *place, last = [str(part) for part in item["loc"]] or ["?"]
    key = ".".join([*place, last])
    if item["type"] == "extra_forbidden":
        return f"{source}: unknown key '{key}'; {_hint(model, place, last)}"
    message = str(item["msg"]).removeprefix("Value error, ")
    got = "" if item["type"] == "missing" else f" (got {_quoted(item['input'])})"
    return f"{source}: {key}: {message}{got}"


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


def duration_option(option: str, text: str) -> timedelta | None:
    """The duration given to an option of the command line, None where it is empty. Raises `ConfigurationError`."""
    try:
        return read_duration(text) if text else None
    except ValueError as error:
        raise ConfigurationError(f"{option} '{text}': {error}.") from None
