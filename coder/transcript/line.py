"""Lines of styled text, and their arithmetic in terminal cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from coder.transcript.safe import visible

Segment = tuple[str, str]
"""Text and the name of its style."""

Line = tuple[Segment, ...]
"""One row on the screen. No segment holds a control character."""

NARROWEST = 10
"""Columns; a block asked for fewer draws for so many."""
FLOWING = 1_000_000
"""The width of lines that something else will wrap."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs of one vocabulary. Each says what a colour says too."""

    ok: str = "✓"
    failed: str = "✗"
    running: str = "●"
    stopped: str = "◌"
    folded: str = "▸"
    unfolded: str = "▾"
    user: str = "❯"
    bar: str = "│"
    bullet: str = "•"
    done: str = "☑"
    todo: str = "☐"
    verdict: str = "◆"
    dot: str = "·"
    rule: str = "─"
    more: str = "…"
    note: str = "·"
    warning: str = "!"
    checkpoint: str = "◇"


UNICODE = Glyphs()
ASCII = Glyphs(
    ok="[ok]", failed="[failed]", running="[..]", stopped="[stopped]", folded="+", unfolded="-", user=">", bar="|",
    bullet="*", done="[x]", todo="[ ]", verdict="*", dot="-", rule="-", more="...", note="-", warning="!",
    checkpoint="@",
)  # fmt: skip
WORDS = Glyphs(
    ok="Done:", failed="Failed:", running="Running:", stopped="Stopped:", folded="", unfolded="", user="You:", bar="",
    bullet="-", done="[done]", todo="[open]", verdict="Verdict:", dot="-", rule="-", more="...", note="Note:",
    warning="Warning:", checkpoint="Saved:",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """How lines are drawn. `split` is the width from which diffs stand side by side, 0 for never;
    `numbers` the width from which they have line numbers; `whole` shows everything, folded or not."""

    glyphs: Glyphs = UNICODE
    split: int = 140
    numbers: int = 70
    whole: bool = False

    @property
    def words(self) -> bool:
        return self.glyphs is WORDS


def cells(text: str) -> int:
    """How many columns `text` takes. It must be visible (`safe.visible`)."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def width_of(line: Line) -> int:
    return sum(cells(text) for text, _ in line)


def plain(line: Line) -> str:
    return "".join(text for text, _ in line)


def fitting(text: str, room: int, start: int = 0) -> int:
    """The end of the longest text[start:end] that takes at most `room` columns; marks stay with their character."""
    if text.isascii():
        return min(len(text), start + room)
    from rich.cells import get_character_cell_size as size

    taken = 0
    for index in range(start, len(text)):
        taken += size(text[index])
        if taken > room:
            return index
    return len(text)


def clip(text: str, room: int, more: str = "…") -> str:
    """`text` in at most `room` columns; a cut shows."""
    if len(text) <= room and cells(text) <= room:
        return text
    end = fitting(text, room - cells(more)) if room > cells(more) else 0
    return (text[:end] + more)[: max(0, room)]


def crop(line: Line, room: int) -> Line:
    """`line` in at most `room` columns."""
    kept: list[Segment] = []
    for text, style in line:
        size = cells(text)
        if size > room:
            kept.append((text[: fitting(text, room)], style))
            break
        kept.append((text, style))
        room -= size
    return tuple(kept)


def wrap(
    line: Iterable[Segment], width: int, first: Line = (), rest: Line = (), *, words: bool = True
) -> list[Line]:
    """`line` broken at blanks (or anywhere, without `words`) into rows of at most `width` columns. `first` goes
    before the first row, `rest` before the others. A newline in `line` begins a row."""
    rows: list[Line] = []
    ahead = first
    for part in _split(line):
        text = "".join(text for text, _ in part)
        for start, end in _breaks(text, width - width_of(ahead), width - width_of(rest), words=words):
            rows.append((*ahead, *slice_of(part, start, end)))
            ahead = rest
    return rows


def slice_of(line: list[Segment], start: int, end: int) -> Line:
    """The characters from `start` to `end`."""
    if start == 0 and len(line) == 1:
        text, style = line[0]
        return ((text[:end], style),) if end else ()
    found: list[Segment] = []
    at = 0
    for text, style in line:
        after = at + len(text)
        if after > start and at < end:
            found.append((text[max(0, start - at) : end - at], style))
        at = after
        if at >= end:
            break
    return tuple(found)


def _split(line: Iterable[Segment]) -> Iterator[list[Segment]]:
    row: list[Segment] = []
    for text, style in line:
        if "\n" not in text:
            row.append((text, style))
            continue
        head, *others = text.split("\n")
        row.append((head, style))
        for other in others:
            yield row
            row = [(other, style)]
    yield row


def _breaks(text: str, first: int, rest: int, *, words: bool) -> Iterator[tuple[int, int]]:
    """Where the rows of one line begin and end. There is at least one row."""
    start, room = 0, max(2, first)
    while True:
        limit = fitting(text, room, start)
        if limit >= len(text):
            yield start, len(text)
            return
        limit = max(limit, start + 1)
        cut = text.rfind(" ", start, limit + 1) if words else -1
        if cut <= start or not text[start:cut].strip():
            yield start, limit
            start = limit
        else:
            yield start, start + len(text[start:cut].rstrip(" "))
            start = cut + 1
            while start < len(text) and text[start] == " ":
                start += 1
            if start == len(text):
                return
        room = max(2, rest)


def aligned(left: Line, right: str, width: int, style: str = "dim") -> Line:
    """`left` with `right` at the right edge; `left` gives way. Without an edge `right` follows it."""
    if not right:
        return crop(left, width)
    room = width - cells(right) - 2
    if room < NARROWEST:
        return crop(left, width)
    left = crop(left, room)
    gap = 2 if width >= FLOWING else width - width_of(left) - cells(right)
    return (*left, (" " * gap, "text"), (right, style))


def sealed(line: Line, width: int) -> Line:
    """The last door before a face: whatever drew `line`, nothing that steers a terminal passes, nor a row too wide."""
    if not all(text.isprintable() for text, _ in line):
        line = tuple((visible(text).replace("\n", " "), style) for text, style in line)
    return line if width_of(line) <= width else crop(line, width)
