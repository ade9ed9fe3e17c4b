"""What configuration files are made of: text of bounded size, and durations."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

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


def at_most(longest: timedelta) -> Callable[[timedelta], timedelta]:
    """A validator of durations: more than nothing, at most `longest`. It raises `ValueError`."""

    def check(duration: timedelta) -> timedelta:
        if not timedelta(0) < duration <= longest:
            raise ValueError(f"wanted more than nothing and at most {show_duration(longest)}")
        return duration

    return check


def show_duration(duration: timedelta) -> str:
    """A whole number of seconds as `read_duration` reads it, in the largest unit that says it exactly."""
    units = {unit: timedelta(**{name: 1}) for unit, name in _UNITS.items()}
    unit = max((unit for unit in units if not duration % units[unit]), key=units.__getitem__)
    return f"{duration // units[unit]}{unit}"


def duration_option(option: str, text: str) -> timedelta | None:
    """The duration given to an option of the command line, None where it is empty. Raises `ConfigurationError`."""
    try:
        return read_duration(text) if text else None
    except ValueError as error:
        raise ConfigurationError(f"{option} '{text}': {error}.") from None
