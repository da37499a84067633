"""Cutting a list into pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Page:
    items: Sequence[Any]
    number: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are; an empty list has one empty page."""
        return self.total // self.size + 1

    @property
    def has_next(self) -> bool:
        return self.number < self.pages

    @property
    def has_previous(self) -> bool:
        return self.number > 1


def paginate(items: Sequence[Any], number: int = 1, size: int = 10) -> Page:
    """Page `number`, counted from 1."""
    if size < 1:
        raise ValueError("size must be positive")
    if number < 1:
        raise ValueError("pages count from 1")
    start = (number - 1) * size
    return Page(items[start : start + size], number, size, len(items))
