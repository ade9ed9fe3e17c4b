"""Structured logs on standard error: readable lines on a terminal, one JSON object a line elsewhere.

Text that came from a partner is escaped, so that it cannot steer a terminal or forge a line.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from agents.ports import Log
from protocol.errors import printable

FIELD_MAX = 2000
"""Longest field of a log line in characters."""


def make_log(*, as_json: bool | None = None, debug: bool = False, **fields: object) -> Log:
    """A log whose lines all carry `fields`. By default JSON unless standard error is a terminal."""
    as_json = not sys.stderr.isatty() if as_json is None else as_json
    renderer = structlog.processors.JSONRenderer(sort_keys=True) if as_json else structlog.dev.ConsoleRenderer()
    log = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),  # a line is one write: processes that issue side by side share this file
        wrapper_class=structlog.make_filtering_bound_logger("debug" if debug else "info"),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _escape,
            renderer,
        ],
    )
    bound: Log = log.bind(**fields)
    return bound


def _escape(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, bytes | bytearray):
            event[name] = f"({len(value)} bytes)"
        elif isinstance(value, str) and name == "exception":  # its last line may quote what a partner sent
            event[name] = "\n".join(printable(line, FIELD_MAX) for line in value.split("\n"))
        elif isinstance(value, str):
            event[name] = printable(value, FIELD_MAX)
    return event
