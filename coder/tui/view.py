"""The transcript on the screen: one widget that draws its own lines, so that its length costs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import monotonic
from typing import ClassVar

from textual import events as keys
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer

from coder.events import LOSSY, Event
from coder.transcript.block import Block
from coder.transcript.export import as_markdown
from coder.transcript.line import ASCII, Look, plain
from coder.transcript.model import TranscriptModel
from coder.transcript.report import Patch
from coder.tui.drawing import GUTTER, Pen
from coder.tui.hits import Hits, Place
from coder.tui.stage import Stage
from coder.tui.theme import Palette, palette

TICK = 0.05
"""Seconds between two looks at what streams."""
SLICE = 0.006
"""Seconds of measuring at a time, while nothing else happens."""
PAUSE = 0.03
"""Seconds between two slices."""
_NAMES = {
    "text": "the answer",
    "user": "the message",
    "thought": "the thought",
    "tool": "the call's result",
    "diff": "the diff",
    "ending": "the patch",
}


class TranscriptView(ScrollView, can_focus=True, inherit_bindings=False):
    """Follows the end until the user scrolls up, and again from when they are back there. `unseen` counts the
    blocks that came below meanwhile."""

    BINDINGS: ClassVar[list[BindingType]] = []
    DEFAULT_CSS = """
    TranscriptView { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    """

    class Copied(Message):
        """The user wants `text` in the clipboard; `what` names it."""

        def __init__(self, text: str, what: str) -> None:
            super().__init__()
            self.text, self.what = text, what

    class Moved(Message):
        """What is seen, or `unseen`, has changed."""

    def __init__(self, look: Look | None = None, styles: Mapping[str, str] | None = None) -> None:
        """`styles` are the user's own, over those of the theme."""
        super().__init__(id="transcript")
        self.unseen = 0
        self.following = True
        self._stage = Stage(TranscriptModel(), look or Look())
        self._pen = Pen()
        self._hits = Hits()
        self._now: tuple[int, Place] | None = None
        self._styles = dict(styles or {})
        self._palettes: dict[tuple[str, bool], Palette] = {}
        self._cursor = -1
        self._due: Timer | None = None
        self._filling: Timer | None = None
        self._synced = 0.0
        self._own_move = self._painting = False
        self._thumb = (-1, -1)
        self._told: tuple[int, bool] = (0, True)

    @property
    def model(self) -> TranscriptModel:
        return self._stage.model

    @property
    def look(self) -> Look:
        return self._stage.look

    @property
    def measuring(self) -> bool:
        """Whether there are rows that will still be measured."""
        return self._due is not None or self._filling is not None

    def top_of(self, place: int) -> int:
        """The first row of a block."""
        return self._stage.top(place)

    # What happens

    def take(self, event: Event) -> None:
        """Fold an event in. It is seen at the next tick."""
        self.model.take(event)
        if not isinstance(event, LOSSY) or self.model.busy:
            self._look_soon()

    def load(self, past: Iterable[Event]) -> None:
        """Show another run, from its end."""
        stage = self._stage
        self._stage = Stage(TranscriptModel().fold(past), stage.look, stage.width)
        self._stage.thoughts = stage.thoughts
        self._hits, self._now, self._cursor = Hits(), None, -1
        self.following, self.unseen = True, 0
        self._look()

    def show_diff(self, diff: str) -> None:
        """Put a diff behind what is there, and go there."""
        self.model.add(Patch(diff))
        self.following = True
        self._look()

    def _look_soon(self) -> None:
        if self._due is None and self.is_running:
            self._due = self.set_timer(max(0.001, TICK - (monotonic() - self._synced)), self._look)

    def _look(self) -> None:
        """See what has become of the model."""
        if self._due is not None:
            self._due.stop()
            self._due = None
        self._synced = monotonic()
        if self._stage.width:
            new = self._stage.sync()
            self.unseen = 0 if self.following else self.unseen + new
            self._arrange()

    def _arrange(self, top: int | None = None) -> None:
        """Make what is seen exact, and stand where the user stood, at `top`, or at the end."""
        height = self.scrollable_content_region.height
        if top is None and self.following:
            top = self._stage.settle_end(height)
        else:
            top = self._stage.settle(round(self.scroll_y) if top is None else top, height)
        self._move(top)
        self.refresh()
        if self._stage.rows.guessed and self._filling is None:
            self._stage.plan_measuring(top)
            self._filling = self.set_timer(PAUSE, self.fill)

    def _move(self, top: int) -> None:
        self._own_move = True
        try:
            size = Size(self._stage.width, self._stage.total)
            if size != self.virtual_size:
                # A new length changes nothing around: a layout of the whole screen would be for nothing.
                self.set_reactive(TranscriptView.virtual_size, size)
            self.scroll_to(y=top)
            self._move_bar()
        finally:
            self._own_move = False
        if (self.unseen, self.following) != self._told:
            self._told = self.unseen, self.following
            self.post_message(self.Moved())

    def _move_bar(self) -> None:
        """Draw the scrollbar anew, if it would look any different: eighths of a cell are what it can show."""
        total, height = max(1, self._stage.total), self.scrollable_content_region.height
        thumb = 8 * height * round(self.scroll_y) // total, 8 * height * height // total
        if thumb != self._thumb and self.show_vertical_scrollbar:
            self._thumb = thumb
            self.vertical_scrollbar.window_virtual_size = total
            self.vertical_scrollbar.window_size = height
            self.vertical_scrollbar.position = self.scroll_y

    def rest(self) -> None:
        """Leave what nobody looks at unmeasured until something happens."""
        if self._filling is not None:
            self._filling.stop()
            self._filling = None

    def fill(self) -> None:
        """Measure some of what nobody looks at."""
        self._filling = None
        top = round(self.scroll_y)
        moved = self._stage.measure_some(SLICE, top)
        if self.following:
            top = max(0, self._stage.total - self.scrollable_content_region.height)
        else:
            top += moved
        self._move(top)
        if self._stage.rows.guessed and self._stage.measuring:
            self._filling = self.set_timer(PAUSE, self.fill)

    # Scrolling

    def scroll_to(self, *args: object, **named: object) -> None:  # one place for animation
        """As ever, but at once: rows are measured on the way, and an animation would aim at where they were."""
        named["animate"] = False
        super().scroll_to(*args, **named)  # type: ignore[arg-type]  # passed on as they came

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if round(old_value) != round(new_value):
            self.refresh()
        if self._own_move or round(old_value) == round(new_value) or not self._stage.width:
            return
        top = self._stage.settle(round(new_value), self.scrollable_content_region.height)
        self.following = top >= self._stage.total - self.scrollable_content_region.height
        self.unseen = 0 if self.following else self.unseen
        self._move(top)

    def page(self, by: int) -> None:
        """A screen up or down; one row of it stays."""
        self.scroll_to(y=round(self.scroll_y) + by * max(1, self.scrollable_content_region.height - 1))

    def to_top(self) -> None:
        self.scroll_to(y=0)

    def to_end(self) -> None:
        self.following, self.unseen = True, 0
        self._arrange()

    def on_resize(self, event: keys.Resize) -> None:
        del event
        width = max(1, self.scrollable_content_region.width - GUTTER)
        if width != self._stage.width:
            place = self._stage.at(round(self.scroll_y)) if self._stage.count else 0
            first = not self._stage.width
            self._stage.resize(width)
            self._look() if first or self.following else self._arrange(self._stage.top(place))
        else:
            self._arrange()

    # Blocks

    def move_cursor(self, by: int) -> None:
        """To the next block, or the one before; from nowhere, to the last one that is seen."""
        stage = self._stage
        if not stage.count:
            return
        top, height = round(self.scroll_y), self.scrollable_content_region.height
        place = self._cursor + by if self._cursor >= 0 else stage.at(min(top + height, stage.total) - 1)
        while 0 <= place < stage.count and not stage.height(place):
            place += by
        self._cursor = max(0, min(place, stage.count - 1))
        begin, end = stage.top(self._cursor), stage.top(self._cursor) + stage.height(self._cursor)
        if begin < top or end - begin >= height:
            self.scroll_to(y=begin)
        elif end > top + height:
            self.scroll_to(y=end - height)
        self.refresh()

    def leave(self) -> None:
        """No block is the cursor's, and nothing is searched for."""
        self._cursor = -1
        self._hits, self._now = Hits(), None
        self.refresh()

    def toggle(self) -> None:
        """Open or fold the cursor's block."""
        if 0 <= self._cursor < self._stage.count:
            self._toggle(self._cursor)

    def _toggle(self, place: int) -> None:
        if not self._stage.block(place).toggle():
            return
        self._stage.change(place)
        top = min(round(self.scroll_y), self._stage.top(place))
        self.following = False
        self._arrange(top)
        self.following = top >= self._stage.total - self.scrollable_content_region.height

    def toggle_all(self) -> None:
        """Show everything, or again only what is open."""
        top = self._stage.unfold(whole=not self._stage.look.whole, top=round(self.scroll_y))
        self._arrange(None if self.following else top)

    def toggle_thoughts(self) -> None:
        """Open all thoughts, and those to come; or fold them."""
        stage = self._stage
        stage.thoughts = not stage.thoughts
        place = stage.at(round(self.scroll_y)) if stage.count else 0
        for block in self.model.blocks:
            if block.kind == "thought":
                block.open = stage.thoughts
        stage.doubt()
        self._arrange(None if self.following else stage.top(place))

    def on_click(self, event: keys.Click) -> None:
        place, _ = self._stage.line(event.y + round(self.scroll_y))
        if place >= 0 and not self.text_selection:
            self._cursor = place
            self._toggle(place)
            self.refresh()

    def next_hunk(self, by: int) -> None:
        """To the next place where a diff begins anew, or the one before."""
        here = round(self.scroll_y)
        rows = range(here + 1, self._stage.total) if by > 0 else range(here - 1, -1, -1)
        for row in rows:
            _, line = self._stage.line(row)
            if any(style in ("hunk", "path") for _, style in line):
                self.scroll_to(y=row)
                return

    @property
    def chosen_kind(self) -> str:
        """What kind of block the cursor is at; empty without one."""
        block = self._chosen() if self._cursor >= 0 else None
        return block.kind if block else ""

    @property
    def cursor_row(self) -> int:
        """The row of the screen at which the cursor's block begins."""
        return self._stage.top(self._cursor) + self._stage.gap(self._cursor) - round(self.scroll_y)

    def copy(self) -> None:
        """Ask for the cursor's block (without one, the last answer) to be copied: its source, not its lines."""
        block = self._chosen()
        if block is not None:
            self.post_message(self.Copied(block.source, _NAMES.get(block.kind, "the block")))

    def _chosen(self) -> Block | None:
        if 0 <= self._cursor < self._stage.count:
            return self._stage.block(self._cursor)
        return next((block for block in reversed(self.model.blocks) if block.kind == "text"), None)

    def markdown(self) -> str:
        return as_markdown(self.model)

    def lines(self, width: int) -> list[str]:
        """Everything as plain lines, for the terminal's own scrollback."""
        return [plain(line) for line in self.model.lines(width, self._stage.look)]

    # Searching

    def search(self, text: str) -> int:
        """Mark `text` wherever it stands, go to the first place from here on, return how many there are."""
        self._now = None
        count = self._hits.find(text, self.model.blocks)
        if count:
            self.next_hit(1)
        self.refresh()
        return count

    def next_hit(self, by: int) -> None:
        """Go to the next place of what was searched for, or the one before."""
        hits, stage = self._hits, self._stage
        known = hits.places(stage.lines(hits.block)) if 0 <= hits.block < stage.count else []
        entered = hits.step(by, stage.at(round(self.scroll_y)) if stage.count else 0, len(known))
        if not 0 <= hits.block < stage.count:
            return
        places = hits.places(stage.lines(hits.block))
        if entered and not places and not stage.block(hits.block).open and stage.block(hits.block).toggle():
            stage.change(hits.block)
            places = hits.places(stage.lines(hits.block))
        hits.number = hits.number % len(places) if places else 0
        place = places[hits.number] if places else (0, 0)
        self._now = hits.block, place
        height = self.scrollable_content_region.height
        self.following = False
        self._arrange(max(0, stage.top(hits.block) + stage.gap(hits.block) + place[0] - height // 3))

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """As ever, but without the detour over borders and padding, which there are none of."""
        sign = ">" if self._stage.look.glyphs is ASCII else "▌"
        _, background = self.background_colors
        self._pen.dip(self._palette(), self.rich_style, sign, self.get_line_filters(), background)
        self._painting = True
        strips = [self.render_line(y) for y in crop.line_range]
        self._painting = False
        whole = crop.column_span == (0, self.size.width)
        return strips if whole else [strip.crop(*crop.column_span) for strip in strips]

    def render_line(self, y: int) -> Strip:
        row = round(self.scroll_y) + y
        place, line = self._stage.line(row)
        now = self._now[1][1] if self._now and self._is_now(place, row) else -1
        marked = place == self._cursor and place >= 0
        strip = self._pen.strip(line, self.size.width, marked=marked, needle=self._hits.needle, now=now)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(row)) is not None:
            strip = self._selected(strip, *span)
        # Where characters come from matters where the mouse points, not forty times a frame.
        return strip if self._painting else strip.apply_offsets(0, row)

    def _is_now(self, place: int, row: int) -> bool:
        assert self._now is not None
        block, (offset, _) = self._now
        return place == block and row == self._stage.top(block) + self._stage.gap(block) + offset

    def _selected(self, strip: Strip, start: int, end: int) -> Strip:
        style = self.screen.get_component_rich_style("screen--selection")
        end = strip.cell_length if end < 0 else end
        before, within, after = strip.crop(0, start), strip.crop(start, end), strip.crop(end)
        return Strip.join([before, within.apply_style(style), after])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected rows as they are seen; a block's source is what `copy` gives."""
        first = max(0, selection.start.y if selection.start else 0)
        last = min(self._stage.total - 1, selection.end.y if selection.end else self._stage.total)
        rows = []
        for row in range(first, last + 1):
            text = " " * GUTTER + plain(self._stage.line(row)[1])
            start, end = selection.get_span(row) or (0, 0)
            rows.append(text[max(GUTTER, start) : len(text) if end < 0 else end])
        return "\n".join(rows), "\n"

    def _palette(self) -> Palette:
        theme = self.app.current_theme
        key = theme.name, self.app.no_color
        if key not in self._palettes:
            self._palettes[key] = palette(theme.name, dark=theme.dark, colour=not key[1], own=self._styles)
        return self._palettes[key]
