"""Looks at a long list one page at a time, in turn: what is stuck at its head keeps nothing behind it waiting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

PAGE = 1000
"""Most transactions that are looked at in one round: bounds the time before messages have their turn again."""


class Rotation(Generic[T]):
    """A list that may change between two looks. `page_after(last)` gives at most `size` of its items: those that follow
    `last`, or the first ones for None."""

    def __init__(self, page_after: Callable[[T | None], Sequence[T]], size: int) -> None:
        self._page_after, self._size = page_after, size
        self._last: T | None = None

    def next_page(self) -> Sequence[T]:
        """The items that follow those of the page before; after the last page comes the first."""
        page = self._page_after(self._last)
        self._last = page[-1] if len(page) >= self._size else None
        return page
