"""The transcript on the screen: a sheet whose blocks can be opened, copied and searched."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events as keys
from textual.message import Message

from coder.events import Event
from coder.transcript.block import Block
from coder.transcript.export import as_markdown
from coder.transcript.line import Look, plain
from coder.transcript.report import Patch
from coder.tui.hits import Hits
from coder.tui.paper import Paper

SCROLLBACK = 2_000
"""Lines that are left in the terminal after the window is closed."""
_NAMES = {
    "text": "the answer",
    "user": "the message",
    "thought": "the thought",
    "tool": "the call's result",
    "diff": "the diff",
    "ending": "the patch",
}


class TranscriptView(Paper):
    """A run, block by block. The cursor's block is the one that keys act on."""

    class Copied(Message):
        """The user wants `text` in the clipboard; `what` names it."""

        def __init__(self, text: str, what: str) -> None:
            super().__init__()
            self.text, self.what = text, what

    def __init__(self, look: Look | None = None) -> None:
        super().__init__(look)
        self._hits = Hits()

    def load(self, past: Iterable[Event]) -> None:
        self.leave()
        super().load(past)

    def show_diff(self, diff: str) -> None:
        """Put a diff behind what is there, and go there."""
        self.model.add(Patch(diff))
        self.following = True
        self._look()

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

    # Blocks

    def move_cursor(self, by: int) -> None:
        """To the next block, or the one before; from nowhere, to the last one that is seen."""
        stage = self._stage
        if not stage.count:
            return
        top, height = round(self.scroll_y), self.scrollable_content_region.height
        place = self.cursor + by if self.cursor >= 0 else stage.at(min(top + height, stage.total) - 1)
        while 0 <= place < stage.count and not stage.height(place):
            place += by
        self.cursor = max(0, min(place, stage.count - 1))
        begin, end = stage.top(self.cursor), stage.top(self.cursor) + stage.height(self.cursor)
        if begin < top or end - begin >= height:
            self.scroll_to(y=begin)
        elif end > top + height:
            self.scroll_to(y=end - height)
        self.refresh()

    def leave(self) -> None:
        """No block is the cursor's, and nothing is searched for."""
        self.cursor, self.needle, self.now = -1, "", None
        self._hits = Hits()
        self.refresh()

    def toggle(self) -> None:
        """Open or fold the cursor's block."""
        if 0 <= self.cursor < self._stage.count:
            self._toggle(self.cursor)

    def _toggle(self, place: int) -> None:
        if not self._stage.block(place).toggle():
            return
        self._stage.change(place)
        top = min(round(self.scroll_y), self._stage.top(place))
        self.following = False
        self._arrange(top)
        self.following = top >= self._stage.total - self.scrollable_content_region.height

    def on_click(self, event: keys.Click) -> None:
        place = self._stage.place_at(event.y + round(self.scroll_y))
        if place >= 0 and not self.text_selection:
            self.cursor = place
            self._toggle(place)
            self.refresh()

    def next_hunk(self, by: int) -> None:
        """To the next place where a diff begins anew, or the one before."""
        here = round(self.scroll_y)
        rows = range(here + 1, self._stage.total) if by > 0 else range(here - 1, -1, -1)
        for row in rows:
            if any(style in ("hunk", "path") for _, line in self._stage.frame(row, 1) for _, style in line):
                self.scroll_to(y=row)
                return

    @property
    def chosen_kind(self) -> str:
        """What kind of block the cursor is at; empty without one."""
        block = self._chosen() if self.cursor >= 0 else None
        return block.kind if block else ""

    @property
    def cursor_row(self) -> int:
        """The row of the screen at which the cursor's block begins."""
        return self._stage.top(self.cursor) + self._stage.gap(self.cursor) - round(self.scroll_y)

    def copy(self) -> None:
        """Ask for the cursor's block (without one, the last answer) to be copied: its source, not its lines."""
        block = self._chosen()
        if block is not None:
            self.post_message(self.Copied(block.source, _NAMES.get(block.kind, "the block")))

    def _chosen(self) -> Block | None:
        if 0 <= self.cursor < self._stage.count:
            return self._stage.block(self.cursor)
        return next((block for block in reversed(self.model.blocks) if block.kind == "text"), None)

    def markdown(self) -> str:
        return as_markdown(self.model)

    def lines(self, width: int) -> list[str]:
        """The last lines, plain, for the terminal's own scrollback."""
        lines = self.model.lines(width, self._stage.look, last=SCROLLBACK)
        return [plain(line) for line in lines[-SCROLLBACK:]]

    # Searching

    def search(self, text: str) -> int:
        """Mark `text` wherever it stands, go to the first place from here on, return how many there are."""
        self.now = None
        count = self._hits.find(text, self.model.blocks)
        self.needle = self._hits.needle
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
        self.now = (hits.block, *place)
        height = self.scrollable_content_region.height
        self.following = False
        self._arrange(max(0, stage.top(hits.block) + stage.gap(hits.block) + place[0] - height // 3))
