"""Lines as strips: styles become colours, matches of a search stand out, the cursor has its column."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from coder.transcript.line import Line, plain, slice_of, width_of
from coder.tui.theme import Palette

GUTTER = 1
"""Columns at the left, for the cursor's sign."""
_KEPT = 2_000
"""Strips that are kept: some screens full."""

_Key = tuple[Line, int, bool, str, int]


class Pen:
    """Draws lines at a width; what was drawn is kept."""

    def __init__(self) -> None:
        self._strips: OrderedDict[_Key, Strip] = OrderedDict()
        self._palette: Palette | None = None
        self._base = Style()
        self._sign = "▌"
        self._filters: Sequence[LineFilter] = ()
        self._background = Color(0, 0, 0)

    def dip(
        self, palette: Palette, base: Style, sign: str, filters: Sequence[LineFilter], background: Color
    ) -> None:
        """Draw in these colours from now on, through the app's filters; `sign` marks the cursor's block."""
        before = self._palette, self._base, self._sign, self._filters, self._background
        if (palette, base, sign, filters, background) != before:
            self._palette, self._base, self._sign, self._filters = palette, base, sign, filters
            self._background = background
            self._strips.clear()

    def strip(
        self, line: Line, width: int, *, marked: bool = False, needle: str = "", now: int = -1
    ) -> Strip:
        """`line` in `width` columns. `needle` (casefolded) stands out, most of all its match number `now`."""
        key = (line, width, marked, needle, now)
        found = self._strips.get(key)
        if found is None:
            found = self._strips[key] = self._draw(line, width, marked, needle, now)
            if len(self._strips) > _KEPT:
                self._strips.popitem(last=False)
        return found

    def _draw(self, line: Line, width: int, marked: bool, needle: str, now: int) -> Strip:
        assert self._palette is not None
        palette, base = self._palette, self._base
        if needle:
            line = with_matches(line, needle, now)
        segments = [Segment(self._sign if marked else " ", base + palette["cursor"])]
        segments += [Segment(text, base + palette[style]) for text, style in line if text]
        strip = Strip(segments, GUTTER + width_of(line)).adjust_cell_length(width, base)
        for each in self._filters:
            strip = strip.apply_filter(each, self._background)
        return strip


def with_matches(line: Line, needle: str, now: int = -1) -> Line:
    """`line` with every place where `needle` stands in a style of its own."""
    text = plain(line)
    folded = text.lower()
    if len(folded) != len(text) or needle not in folded:
        return line
    parts = list(line)
    drawn: list[tuple[str, str]] = []
    at = number = 0
    while (found := folded.find(needle, at)) >= 0:
        drawn += slice_of(parts, at, found)
        drawn.append((text[found : found + len(needle)], "match.now" if number == now else "match"))
        at, number = found + len(needle), number + 1
    return (*drawn, *slice_of(parts, at, len(text)))
