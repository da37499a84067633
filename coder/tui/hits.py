"""Searching the transcript: which blocks hold a text, and where in their lines."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from coder.transcript.block import Block
from coder.transcript.line import Line, plain
from coder.transcript.safe import visible

Place = tuple[int, int]
"""A line of a block, and which match in it."""


class Hits:
    """The places of one text. Case does not count."""

    def __init__(self) -> None:
        self.needle = ""
        self.blocks: list[int] = []
        self.block = -1
        """The block of the present hit, -1 for none."""
        self.number = 0
        """Which of the block's hits it is."""

    def find(self, text: str, blocks: Sequence[Block]) -> int:
        """Look for `text` in what the blocks say; returns how often it stands there."""
        self.needle, self.blocks, self.block, self.number = visible(text).lower(), [], -1, 0
        if not self.needle:
            return 0
        total = 0
        for place, block in enumerate(blocks):
            if count := block.source.lower().count(self.needle):
                self.blocks.append(place)
                total += count
        return total

    def step(self, by: int, start: int, count: int) -> bool:
        """Go `by` (1 or -1) hits on; `count` is how many the present block shows. Without a present hit, begin at
        the block `start`. Says whether another block was entered: its `number` is then 0 or -1, the last."""
        if not self.blocks:
            return False
        if self.block < 0:
            self.block = self.blocks[bisect_left(self.blocks, start) % len(self.blocks)]
        elif 0 <= self.number + by < count:
            self.number += by
            return False
        else:
            place = bisect_left(self.blocks, self.block) + by
            self.block = self.blocks[place % len(self.blocks)]
        self.number = 0 if by > 0 else -1
        return True

    def places(self, lines: Sequence[Line]) -> list[Place]:
        """Where the needle stands in a block's lines."""
        found = []
        for row, line in enumerate(lines):
            found += [(row, number) for number in range(plain(line).lower().count(self.needle))]
        return found
