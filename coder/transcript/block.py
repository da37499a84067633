"""What a transcript is made of: a block has a source, a state, and lines for a width and a look."""

from __future__ import annotations

from coder.transcript.flowing import FlowingLines
from coder.transcript.line import (
    ASCII,
    NARROWEST,
    Line,
    Look,
    Segment,
    aligned,
    cells,
    clip,
    sealed,
    width_of,
    wrap,
)
from coder.transcript.safe import first_line, visible

MAX_LINES = 2_000
"""Rows of one block, opened; the source has the rest."""
FOLDED_LINES = 8
"""Rows of a long text while it is folded."""
MAX_TEXT = 400_000
"""Characters of one text that are drawn at all."""

_PLAIN = str.maketrans("…→│─", "~>|-")
"""Signs of ours that a terminal without Unicode gets instead; each as wide as the one it stands for."""

Key = tuple[int, Look, bool, int]


class Block:
    """One thing that happened. `version` counts the changes of what it shows."""

    kind = "block"
    foldable = False

    def __init__(self) -> None:
        self.open = False
        self.version = 0
        self.place = -1
        """Its number among the complete blocks of a model."""
        self._cached: tuple[Key, list[Line]] | None = None

    @property
    def source(self) -> str:
        """What was said, byte for byte: for copying and for searching."""
        return ""

    def lines(self, width: int, look: Look) -> list[Line]:
        """The rows, each at most `width` columns wide and free of control characters. Don't change the list."""
        key = (width, look, self.open, self.version)
        if self._cached is None or self._cached[0] != key:
            width = max(width, NARROWEST)
            drawn = self.draw(width, look)
            if look.glyphs is ASCII:
                drawn = [tuple((text.translate(_PLAIN), style) for text, style in line) for line in drawn]
            self._cached = key, [sealed(line, width) for line in drawn]
        return self._cached[1]

    def draw(self, width: int, look: Look) -> list[Line]:
        """What a kind of block shows; each kind has its own."""
        raise NotImplementedError

    def forget(self) -> None:
        """Give up the drawn lines: they can be drawn again."""
        self._cached = None

    def guess(self, width: int) -> int:
        """About how many lines there will be: quick, for places that nobody looks at yet."""
        return 1

    def touch(self) -> None:
        self.version += 1

    def toggle(self) -> bool:
        """Open or fold; says whether that changes anything."""
        if self.foldable:
            self.open = not self.open
        return self.foldable


class Said(Block):
    """Somebody's words with a sign before them: a notice, a warning, a checkpoint."""

    def __init__(self, kind: str, text: str, *, style: str = "dim", sign: str = "", right: str = "") -> None:
        super().__init__()
        self.kind = kind
        self._text = text
        self._style = style
        self._sign = sign
        self._right = right

    @property
    def source(self) -> str:
        return self._text

    def draw(self, width: int, look: Look) -> list[Line]:
        sign = str(getattr(look.glyphs, self._sign)) if self._sign else ""
        ahead: Line = ((f"{sign} ", self._style),) if sign else ()
        rows = capped(self._text, width, ahead, self._style, MAX_LINES)
        if len(rows) == 1 and self._right:
            return [aligned(rows[0], self._right, width)]
        return rows


class Title(Block):
    """What a task is about, in one line; its words come whole with the user's message."""

    kind = "title"

    def __init__(self, text: str, right: str) -> None:
        super().__init__()
        self._text = text
        self._right = right

    @property
    def source(self) -> str:
        return self._text

    def draw(self, width: int, look: Look) -> list[Line]:
        right = clip(first_line(self._right), width // 3)
        return [headline([(first_line(self._text), "title")], right, width)]


class UserText(Block):
    """What the user said."""

    kind = "user"
    foldable = True

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    @property
    def source(self) -> str:
        return self._text

    def draw(self, width: int, look: Look) -> list[Line]:
        ahead: Line = ((f"{look.glyphs.user} ", "user.sign"),)
        limit = MAX_LINES if self.open or look.whole else FOLDED_LINES
        return capped(self._text, width, ahead, "user", limit, look)

    def guess(self, width: int) -> int:
        return min(FOLDED_LINES + 1, 1 + len(self._text) // max(width, 1) + self._text.count("\n"))


class Answer(Block):
    """The model's words, in Markdown, while they come and when they are complete."""

    kind = "text"

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self._flowing = FlowingLines()
        self._size = 0
        self._figures = ""

    @property
    def source(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def append(self, text: str) -> None:
        self._parts.append(text)
        self._flowing.flow.feed(text[: max(0, MAX_TEXT - self._size)])
        self._size += len(text)
        self.touch()

    def complete(self, text: str, figures: str) -> None:
        """The words as they are in the end, and what they cost. Nothing is drawn again where they came just so."""
        if text != self.source:
            self._parts, self._flowing, self._size = [], FlowingLines(), 0
            self.append(text)
        self._figures = figures
        self.touch()

    def draw(self, width: int, look: Look) -> list[Line]:
        rows = cut_rows(self._flowing.lines(width, look), MAX_LINES, look, self._size - MAX_TEXT)
        if look.whole and self._figures:
            return [*rows, *wrap([(f"({self._figures})", "dim")], width)]
        return rows

    def guess(self, width: int) -> int:
        return max(1, len(self.source) // max(width, 1) + self.source.count("\n"))

    def forget(self) -> None:
        super().forget()
        self._flowing.forget()


class Thought(Block):
    """What the model thought: a line that says how much; opened, all of it."""

    kind = "thought"
    foldable = True

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self._size = 0
        self._figures = ""
        self.live = True

    @property
    def source(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def append(self, text: str) -> None:
        self._parts.append(text)
        self._size += len(text)
        self.touch()

    def complete(self, text: str, figures: str) -> None:
        """`figures` tell what it cost, and what was allowed."""
        self._parts, self._size = [text], len(text)
        self._figures, self.live = figures, False
        self.touch()

    def draw(self, width: int, look: Look) -> list[Line]:
        glyphs = look.glyphs
        if self.live:
            return [self._preview(width, look)]
        unfolded = self.open or look.whole
        sign = glyphs.unfolded if unfolded else glyphs.folded
        head: Line = (
            (f"{sign} " if sign else "", "dim"),
            ("Thought", "thought"),
            (f" {glyphs.dot} {self._figures}" if self._figures else "", "dim"),
        )
        if not unfolded or not self.source.strip():
            return [head]
        bar: Line = ((f"{glyphs.bar} " if glyphs.bar else "  ", "rule"),)
        body = capped(self.source.strip("\n"), width, bar, "thought", MAX_LINES, look, rest=bar)
        return [head, *body]

    def _preview(self, width: int, look: Look) -> Line:
        """The last words, as far as one line goes."""
        head = f"{look.glyphs.running} Thinking {look.glyphs.dot} "
        tail = first_line("".join(self._parts[-64:])[-4 * width :], 4 * width)
        room = max(0, width - cells(head))
        while cells(tail) > room:
            tail = tail[max(1, (cells(tail) - room) // 2) :]
        return ((head, "running"), (visible(tail), "thought"))


def capped(
    text: str,
    width: int,
    first: Line,
    style: str,
    limit: int,
    look: Look | None = None,
    rest: Line | None = None,
) -> list[Line]:
    """`text` wrapped behind `first` (and as much room, or `rest`), at most `limit` rows; a cut shows."""
    behind: Line = ((" " * width_of(first), "text"),) if rest is None else rest
    room = limit * max(width, NARROWEST)
    shown = visible(text[:room]).removesuffix("\n")
    rows = wrap([(shown, style)], width, first, behind if width_of(behind) else ())
    return cut_rows(rows, limit, look, len(text) - room)


def cut_rows(rows: list[Line], limit: int, look: Look | None, unread: int = 0) -> list[Line]:
    """At most `limit` rows. The last says how much is missing."""
    more = look.glyphs.more if look else "…"
    if len(rows) > limit:
        return [*rows[:limit], ((f"  {more} {len(rows) - limit} more lines", "dim"),)]
    if unread > 0:
        return [*rows, ((f"  {more} {unread} more characters", "dim"),)]
    return rows


def headline(segments: list[Segment], right: str, width: int) -> Line:
    """A block's first line: its parts one after the other, clipped, and figures at the right edge."""
    room = width - (cells(right) + 2 if right else 0)
    kept: list[Segment] = []
    for text, style in segments:
        shown = clip(text, max(0, room))
        kept.append((shown, style))
        room -= cells(shown)
    return aligned(tuple(kept), right, width)
