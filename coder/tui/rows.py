"""Where blocks stand: heights, their sums, and the block at a row. Heights may be guesses until somebody looks."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate


class Rows:
    """`heights` of blocks in rows, from the first to the last; `exact` says which were measured."""

    def __init__(self) -> None:
        self._heights: list[int] = []
        self._exact: list[bool] = []
        self._ends: list[int] = []
        """Sums of the heights, valid for the first `_valid` blocks."""
        self._valid = 0
        self.guessed = 0
        """How many heights are guesses."""

    def __len__(self) -> int:
        return len(self._heights)

    @property
    def total(self) -> int:
        """Rows of all blocks."""
        self._sum()
        return self._ends[-1] if self._ends else 0

    def append(self, height: int, *, exact: bool) -> None:
        self._heights.append(height)
        self._exact.append(exact)
        self.guessed += not exact
        if self._valid == len(self._ends) == len(self._heights) - 1:
            self._ends.append(height + (self._ends[-1] if self._ends else 0))
            self._valid += 1

    def put(self, place: int, height: int) -> int:
        """Take note of a measured height; returns by how much it differs from what was thought."""
        difference = height - self._heights[place]
        self.guessed -= not self._exact[place]
        self._exact[place] = True
        if difference:
            self._heights[place] = height
            self._valid = min(self._valid, place)
        return difference

    def doubt(self, place: int | None = None) -> None:
        """The height of a block (of all, without `place`) has become a guess."""
        for index in range(len(self._exact)) if place is None else (place,):
            self.guessed += self._exact[index]
            self._exact[index] = False

    def is_exact(self, place: int) -> bool:
        return self._exact[place]

    def keep(self, count: int) -> None:
        """Only the first `count` blocks are left."""
        del self._heights[count:], self._exact[count:], self._ends[count:]
        self._valid = min(self._valid, count)
        self.guessed = self._exact.count(False)

    def top(self, place: int) -> int:
        """The first row of a block; for the number of blocks, the row behind the last."""
        self._sum()
        return self._ends[place - 1] if place else 0

    def height(self, place: int) -> int:
        return self._heights[place]

    def at(self, row: int) -> int:
        """The block that holds `row`; the number of blocks for rows behind the last."""
        self._sum()
        return bisect_right(self._ends, row)

    def _sum(self) -> None:
        if self._valid < len(self._heights):
            before = self._ends[self._valid - 1] if self._valid else 0
            rest = accumulate(self._heights[self._valid :], initial=before)
            next(rest)
            self._ends[self._valid :] = rest
            self._valid = len(self._heights)
