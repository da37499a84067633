"""Stand-in until the real view comes."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from coder.events import Event
from coder.headless import describe
from sandbox.text import clean_text


class TranscriptView(ScrollView, can_focus=True):
    class Copied(Message):
        def __init__(self, text: str, what: str) -> None:
            super().__init__()
            self.text, self.what = text, what

    class Moved(Message):
        pass

    def __init__(self) -> None:
        super().__init__(id="transcript")
        self._lines: list[str] = []
        self.unseen = 0

    def take(self, event: Event) -> None:
        text = clean_text(describe(event))
        if text:
            self._lines += text.splitlines()
            self.virtual_size = Size(self.size.width, len(self._lines))
            self.scroll_end(animate=False)
            self.refresh()

    def load(self, events: Iterable[Event]) -> None:
        self._lines = []
        for event in events:
            self.take(event)

    def render_line(self, y: int) -> Strip:
        at = y + self.scroll_offset.y
        text = self._lines[at] if at < len(self._lines) else ""
        return Strip([Segment(text)]).adjust_cell_length(self.size.width, self.rich_style)

    def search(self, text: str) -> int:
        return sum(text in line for line in self._lines)

    def next_hit(self, by: int) -> None: ...
    def toggle_all(self) -> None: ...
    def toggle_thoughts(self) -> None: ...
    def page(self, by: int) -> None:
        self.scroll_relative(y=by * self.size.height, animate=False)

    def to_top(self) -> None:
        self.scroll_home(animate=False)

    def to_end(self) -> None:
        self.scroll_end(animate=False)

    def move_cursor(self, by: int) -> None: ...
    def toggle(self) -> None: ...
    def copy(self) -> None:
        self.post_message(self.Copied("\n".join(self._lines), "the block"))

    def leave(self) -> None: ...
    def markdown(self) -> str:
        return "\n".join(self._lines)

    def show_diff(self, diff: str) -> None: ...
    def lines(self, width: int) -> list[str]:
        return self._lines
