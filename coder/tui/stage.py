"""What of a transcript is drawn, and where: only the blocks that somebody looks at are, the others are guessed at
and measured when there is time. Knows no widget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter

from coder.transcript.block import Block
from coder.transcript.line import Line, Look
from coder.transcript.model import TranscriptModel, apart
from coder.tui.rows import Rows

_DRAWN = 300
"""Blocks that keep their lines; the others are drawn again when somebody comes back."""
_LONG = 400
"""Rows. A block that seems longer is measured only when somebody looks: it takes longer than a slice."""


class Stage:
    """The model's blocks one below the other, in `width` columns."""

    def __init__(self, model: TranscriptModel, look: Look, width: int = 0) -> None:
        self.model = model
        self.look = look
        self.width = width
        self.thoughts = False
        """Whether thoughts are open from the beginning."""
        self.rows = Rows()
        self._streaming: list[Block] = []
        self._live = Rows()
        """Of the blocks that stream: they stand behind all others, and are always exact."""
        self._live_lines: list[Line] = []
        self.first_changed = 0
        """The first row of what streams that is different from the last time."""
        self._cuts = 0
        self._drawn: OrderedDict[Block, None] = OrderedDict()
        self._unmeasured: Iterator[int] = iter(())
        self.still = False
        self.measuring = False
        """Whether there are guesses left that it pays to measure."""

    @property
    def total(self) -> int:
        return self.rows.total + self._live.total

    @property
    def count(self) -> int:
        """Blocks, with those that stream."""
        return len(self.rows) + len(self._streaming)

    def block(self, place: int) -> Block:
        complete = len(self.rows)
        return self.model.complete[place] if place < complete else self._streaming[place - complete]

    def top(self, place: int) -> int:
        """The first row of a block (a blank one where it stands apart)."""
        complete = len(self.rows)
        return (
            self.rows.top(place) if place <= complete else self.rows.total + self._live.top(place - complete)
        )

    def height(self, place: int) -> int:
        complete = len(self.rows)
        return self.rows.height(place) if place < complete else self._live.height(place - complete)

    def at(self, row: int) -> int:
        """The block that stands at `row`, the last one for rows behind it."""
        place = self.rows.at(row)
        if place == len(self.rows):
            place += self._live.at(row - self.rows.total)
        return max(0, min(place, self.count - 1))

    def gap(self, place: int) -> int:
        """Blank rows above a block."""
        return int(place > 0 and apart(self.block(place - 1).kind, self.block(place).kind))

    def lines(self, place: int) -> list[Line]:
        """A block's lines, remembered for a while."""
        block = self.block(place)
        self._drawn[block] = None
        self._drawn.move_to_end(block)
        if len(self._drawn) > _DRAWN:
            self._drawn.popitem(last=False)[0].forget()
        return block.lines(self.width, self.look)

    def place_at(self, row: int) -> int:
        """The block at `row`, -1 where there is none."""
        return self.at(row) if 0 <= row < self.total else -1

    def frame(self, top: int, height: int) -> Iterator[tuple[int, Line]]:
        """What stands at the `height` rows from `top`, each with its block. Their heights must be exact."""
        place = self.at(top) if self.count else 0
        row = self.top(place) if self.count else 0
        while row < top + height and place < self.count:
            lines = self.lines(place)
            shown = [(), *lines] if lines and self.gap(place) else lines
            for line in shown[max(0, top - row) : top + height - row]:
                yield place, line
            row += len(shown)
            place += 1

    def sync(self) -> int:
        """Take note of what happened to the model; returns how many blocks are new. `still` says afterwards whether
        nothing but what streams is different."""
        self.still = self.model.cuts == self._cuts and not self.model.changed
        if self.model.cuts != self._cuts:
            self._cuts = self.model.cuts
            self.rows.keep(0)
            self.model.changed.clear()
        before = len(self.rows)
        for place in range(before, len(self.model.complete)):
            block = self.model.complete[place]
            if self.thoughts and block.kind == "thought":
                block.open = True
            self.rows.append(block.guess(self.width) if self.width else 1, exact=False)
        for place in self.model.changed:
            if place < before:
                self.rows.doubt(place)
        self.model.changed.clear()
        self._measure_streaming()
        self.still = self.still and len(self.rows) == before
        return max(0, len(self.rows) - before)

    def _measure_streaming(self) -> None:
        self._streaming = self.model.streaming
        self._live = Rows()
        before, self._live_lines = self._live_lines, []
        for place in range(len(self.rows), self.count):
            self._live.append(self._measured(place), exact=True)
            self._live_lines += [()] * self.gap(place) + self.lines(place)
        pairs = zip(before, self._live_lines, strict=False)
        same = next(
            (at for at, (old, new) in enumerate(pairs) if old != new), min(len(before), len(self._live_lines))
        )
        self.first_changed = self.rows.total + same

    def _measured(self, place: int) -> int:
        lines = self.lines(place)
        return len(lines) + self.gap(place) if lines else 0

    def doubt(self) -> None:
        """Any block may have been opened or folded."""
        self.rows.doubt()
        self._measure_streaming()

    def change(self, place: int) -> None:
        """A block was opened or folded while somebody looks at it."""
        self._measure_streaming()
        if place < len(self.rows):
            self.rows.put(place, self._measured(place))

    def resize(self, width: int, look: Look | None = None) -> None:
        """Another width, another look: what was measured is a guess now."""
        self.width = width
        self.look = look or self.look
        self.doubt()

    def unfold(self, *, whole: bool, top: int) -> int:
        """Show everything, or only what is open; returns the row for `top`'s block."""
        place = self.at(top)
        self.resize(self.width, replace(self.look, whole=whole))
        return self.top(place)

    def settle(self, top: int, height: int) -> int:
        """Make the `height` rows from `top` exact; returns where they begin now, so that what was seen stays put."""
        if not self.count:
            return 0
        first = self.at(top)
        anchor = next((p for p in self._seen(first, top + height) if self._exact(p)), first)
        inside = top - self.top(anchor)
        for _ in range(height + 2):
            if not self._measure(self.at(top), top + height):
                break
            inside = min(inside, max(0, self.height(anchor) - 1))
            top = self.top(anchor) + inside
        return max(0, min(top, self.total - height))

    def settle_end(self, height: int) -> int:
        """Make the last `height` rows exact; returns where they begin."""
        place = self.count - 1
        while place >= 0 and self.total - self.top(place + 1) < height:
            if not self._exact(place):
                self.rows.put(place, self._measured(place))
            place -= 1
        return max(0, self.total - height)

    def _seen(self, first: int, end: int) -> Iterator[int]:
        place = first
        while place < self.count and self.top(place) < end:
            yield place
            place += 1

    def _exact(self, place: int) -> bool:
        return place >= len(self.rows) or self.rows.is_exact(place)

    def _measure(self, first: int, end: int) -> bool:
        """Measure the guesses between two rows; says whether there was one."""
        found = False
        for place in self._seen(first, end):
            if not self._exact(place):
                self.rows.put(place, self._measured(place))
                found = True
        return found

    def measure_some(self, seconds: float, top: int) -> int:
        """Measure guesses for about so long, those near `top` first; returns by how many rows `top` moves down."""
        deadline = perf_counter() + seconds
        first = self.at(top)
        moved = 0
        while perf_counter() < deadline and self.rows.guessed:
            place = next(self._unmeasured, -1)
            if place < 0:
                self.measuring = False
                break
            if place < len(self.rows) and not self._exact(place) and self.rows.height(place) <= _LONG:
                difference = self.rows.put(place, self._measured(place))
                moved += difference if place < first else 0
        return moved

    def plan_measuring(self, top: int) -> None:
        """Begin to measure from `top` on upwards, then downwards."""
        first = self.at(top)
        self.measuring = True
        self._unmeasured = iter([*range(first, -1, -1), *range(first + 1, len(self.rows))])
