"""A scrolling sheet that draws its own lines: where the user stands, what is drawn, what is measured, and when."""

from __future__ import annotations

import gc
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
from coder.transcript.line import ASCII, Line, Look, fitting, plain
from coder.transcript.model import MAIN, TranscriptModel
from coder.tui.drawing import GUTTER, Pen
from coder.tui.parts import Parts
from coder.tui.stage import Stage
from coder.tui.theme import Palette, palette

TICK = 0.05
"""Seconds between two looks at what streams."""
SLICE = 0.006
"""Seconds of measuring at a time, while nothing else happens."""
PAUSE = 0.03
BUSY_PAUSE = 0.3
"""Seconds between two slices, and while something streams."""


class Paper(ScrollView, can_focus=True, inherit_bindings=False):
    """Follows the end until the user scrolls up, and again from when they are back there. `unseen` counts the
    blocks that came below meanwhile."""

    BINDINGS: ClassVar[list[BindingType]] = []
    DEFAULT_CSS = """
    Paper { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    """

    class Moved(Message, namespace="transcript_view"):
        """What is seen, or `unseen`, has changed."""

    def __init__(self, look: Look | None = None) -> None:
        super().__init__(id="transcript")
        self.unseen = 0
        self.following = True
        self.cursor = -1
        """The block that is marked, -1 for none."""
        self.needle = ""
        """Text that stands out, in small letters."""
        self.now: tuple[int, int, int] | None = None
        """Which of its places stands out most: a block, one of its lines, and which match there."""
        self.parts = Parts()
        self.part = MAIN
        """The part that is shown."""
        self._elsewhere: dict[str, tuple[Stage, int, bool]] = {}
        """The other parts as they were left: where the user stood, and whether at the end."""
        self._stage = Stage(self.parts.main, look or Look())
        self._pen = Pen()
        self.own_styles: dict[str, tuple[str, Mapping[str, str]]] = {}
        """By the name of a user's theme: the theme of ours that it rests on, and the styles that differ."""
        self._palettes: dict[tuple[str, bool], Palette] = {}
        self._due: Timer | None = None
        self._filling: Timer | None = None
        self._synced = 0.0
        self._own_move = False
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
        """Fold an event in. It is seen at the next tick; what takes blocks away at once, for they may be drawn before."""
        cuts = self.model.cuts
        if self.parts.take(event) != self.part:
            return
        if self.model.cuts != cuts:
            self._look()
        elif not isinstance(event, LOSSY) or self.model.busy:
            self._look_soon()

    def load(self, past: Iterable[Event]) -> None:
        """Show another run, from its end."""
        stage = self._stage
        self.parts, self.part, self._elsewhere = Parts(), MAIN, {}
        for event in past:
            self.parts.take(event)
        self._stage = Stage(self.parts.main, stage.look, stage.width)
        # It stays for good, and a full collection over 10,000 events would hold the window up for 60 ms.
        gc.freeze()
        self._stage.thoughts = stage.thoughts
        self.following, self.unseen = True, 0
        self._look()

    def show_part(self, name: str) -> None:
        """Show another part of the run, as it was left."""
        if name == self.part:
            return
        here = self._stage
        self._elsewhere[self.part] = here, round(self.scroll_y), self.following
        new = Stage(self.parts.model(name), here.look, here.width)
        self._stage, top, self.following = self._elsewhere.pop(name, (new, 0, True))
        self._stage.thoughts = here.thoughts
        if (self._stage.width, self._stage.look) != (here.width, here.look):
            self._stage.resize(here.width, here.look)
        self.part, self.cursor, self.unseen = name, -1, 0
        self._stage.sync()
        self._arrange(None if self.following else top)

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
            before = self._stage.total, round(self.scroll_y)
            new = self._stage.sync()
            self.unseen = 0 if self.following else self.unseen + new
            self._arrange(quietly=self._stage.still)
            if self._stage.still and before == (self._stage.total, round(self.scroll_y)):
                self._refresh_streaming()
            elif self._stage.still:
                self.refresh()

    def _refresh_streaming(self) -> None:
        """Only what streams is different, and nothing has moved."""
        first = max(0, self._stage.first_changed - round(self.scroll_y))
        height = self.scrollable_content_region.height - first
        if height > 0:
            self.refresh(Region(0, first, self.size.width, height))

    def _arrange(self, top: int | None = None, *, quietly: bool = False) -> None:
        """Make what is seen exact, and stand where the user stood, at `top`, or at the end; `quietly` draws nothing
        of itself."""
        height = self.scrollable_content_region.height
        if top is None and self.following:
            top = self._stage.settle_end(height)
        else:
            top = self._stage.settle(round(self.scroll_y) if top is None else top, height)
        self._move(top)
        if not quietly:
            self.refresh()
        if self._stage.rows.guessed and self._filling is None:
            self._stage.plan_measuring(top)
            self._fill_later()

    def _move(self, top: int) -> None:
        self._own_move = True
        try:
            size = Size(self._stage.width, self._stage.total)
            if size != self.virtual_size:
                # A new length changes nothing around: a layout of the whole screen would be for nothing.
                self.set_reactive(Paper.virtual_size, size)
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

    def _fill_later(self) -> None:
        self._filling = self.set_timer(BUSY_PAUSE if self.model.busy else PAUSE, self.fill)

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
            self._fill_later()

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

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """As ever, but without the detour over borders and padding, which there are none of."""
        width, top = self.size.width, round(self.scroll_y)
        self._dip()
        strips = self._strips(top + crop.y, crop.height, width)
        strips += [self._strip(-1, (), width)] * (crop.height - len(strips))
        return (
            strips if crop.column_span == (0, width) else [strip.crop(*crop.column_span) for strip in strips]
        )

    def render_line(self, y: int) -> Strip:
        """One row, and where its characters come from: that is asked for where the mouse points."""
        row, width = round(self.scroll_y) + y, self.size.width
        self._dip()
        strips = self._strips(row, 1, width) or [self._strip(-1, (), width)]
        return strips[0].apply_offsets(0, row)

    def _dip(self) -> None:
        sign = ">" if self._stage.look.glyphs is ASCII else "▌"
        _, background = self.background_colors
        self._pen.dip(self._palette(), self.rich_style, sign, self.get_line_filters(), background)

    def _strips(self, top: int, height: int, width: int) -> list[Strip]:
        strips = [self._strip(place, line, width) for place, line in self._stage.frame(top, height)]
        if self.now is not None and 0 <= (at := self._now_row(self.now) - top) < len(strips):
            _, line = next(iter(self._stage.frame(top + at, 1)))
            strips[at] = self._strip(self.now[0], line, width, self.now[2])
        if (selection := self.text_selection) is not None:
            for at, strip in enumerate(strips):
                if (span := selection.get_span(top + at)) is not None:
                    strips[at] = self._selected(strip, *span)
        return strips

    def _strip(self, place: int, line: Line, width: int, now: int = -1) -> Strip:
        return self._pen.strip(line, width, marked=0 <= place == self.cursor, needle=self.needle, now=now)

    def _now_row(self, now: tuple[int, int, int]) -> int:
        block, offset, _ = now
        return self._stage.top(block) + self._stage.gap(block) + offset if block < self._stage.count else -1

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
        for row, (_, line) in enumerate(self._stage.frame(first, last - first + 1), first):
            text = plain(line)
            start, end = selection.get_span(row) or (0, 0)
            begin = fitting(text, max(0, start - GUTTER))
            rows.append(text[begin : len(text) if end < 0 else fitting(text, max(0, end - GUTTER))])
        return "\n".join(rows), "\n"

    def _palette(self) -> Palette:
        theme = self.app.current_theme
        key = theme.name, self.app.no_color
        if key not in self._palettes:
            base, own = self.own_styles.get(theme.name, (theme.name, {}))
            self._palettes[key] = palette(base, dark=theme.dark, colour=not key[1], own=own)
        return self._palettes[key]
