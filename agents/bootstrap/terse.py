"""A log for a command whose result is on the same terminal: what needs somebody's attention, and each of it once."""

from __future__ import annotations

from agents.ports import Log


class TerseLog:
    """Hands warnings and worse on to another log, unless they were said before with the same words.

    Numbers do not make it news: when something is tried again is nothing that anybody need know.
    """

    def __init__(self, log: Log, said: set[tuple[object, ...]] | None = None) -> None:
        self._log, self._said = log, set() if said is None else said

    def bind(self, **fields: object) -> TerseLog:
        """The same log, whose lines all carry `fields`; what was said without them counts as said."""
        return TerseLog(self._log.bind(**fields), self._said)

    def debug(self, event: str, **fields: object) -> None:
        """Nothing."""

    def info(self, event: str, **fields: object) -> None:
        """Nothing."""

    def warning(self, event: str, **fields: object) -> None:
        """Once."""
        if self._is_news(event, fields):
            self._log.warning(event, **fields)

    def error(self, event: str, **fields: object) -> None:
        """Once."""
        if self._is_news(event, fields):
            self._log.error(event, **fields)

    def exception(self, event: str, **fields: object) -> None:
        """Each time: the traceback may be another one."""
        self._log.exception(event, **fields)

    def _is_news(self, event: str, fields: dict[str, object]) -> bool:
        words = (event, *sorted((name, value) for name, value in fields.items() if isinstance(value, str)))
        if words in self._said:
            return False
        self._said.add(words)
        return True
