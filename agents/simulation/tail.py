"""Reads a file of JSON lines as it grows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Tail:
    """Complete lines that were not read before; a line that was cut off when its writer was killed is left out."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def new(self) -> list[dict[str, Any]]:
        """What has been added, parsed."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            added = file.read()
        complete = added[: added.rfind(b"\n") + 1]
        self._offset += len(complete)
        return [parsed for line in complete.splitlines() if (parsed := _parse(line)) is not None]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
