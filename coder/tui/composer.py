"""Where a person writes: many lines, folded pastes, earlier texts, completion of `@files` and `/commands`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from textual.events import Paste
from textual.message import Message
from textual.widgets import TextArea

from sandbox.text import clean_text

FOLD_LINES, FOLD_CHARACTERS = 10, 1000
"""A paste of more than that becomes a chip."""

_WORD = re.compile(r"(?:^|(?<=\s))([@/]\S*)$")


@dataclass(frozen=True, slots=True)
class Completing:
    """What is being completed: its sign (`@` or `/`), what is typed after it, and where it begins on the line."""

    sign: str
    typed: str
    row: int
    start: int
    end: int


class Composer(TextArea):
    """The text being written. Its cursor never blinks: an idle window costs nothing."""

    class Edited(Message):
        """The text or the cursor changed."""

    def __init__(self) -> None:
        super().__init__(
            compact=True, highlight_cursor_line=False, placeholder="@ file   / command   ! shell   ? keys"
        )
        self.cursor_blink = False
        self._folded: dict[str, str] = {}

    @property
    def whole(self) -> str:
        """The text with every chip unfolded: what is sent, and what a draft keeps."""
        text = self.text
        for chip, content in self._folded.items():
            text = text.replace(chip, content)
        return text

    def write(self, text: str) -> None:
        """Replace everything by `text`, with the cursor at its end."""
        self._folded.clear()
        self.load_text("")
        if text:
            self.paste(text)

    def paste(self, text: str) -> None:
        """Insert `text`, folded when it is long. What could steer a terminal or hide is made visible."""
        text = clean_text(text.replace("\r\n", "\n").replace("\r", "\n"))
        lines = text.count("\n") + 1
        if lines > FOLD_LINES or len(text) > FOLD_CHARACTERS:
            chip = f"[pasted {len(self._folded) + 1}: {lines} lines, {len(text)} characters]"
            self._folded[chip] = text
            text = chip
        result = self.replace(text, *self.selection, maintain_selection_offset=False)
        self.move_cursor(result.end_location)

    async def _on_paste(self, event: Paste) -> None:
        event.stop()
        event.prevent_default()
        self.paste(event.text)

    def completing(self) -> Completing | None:
        """The word before the cursor, where it is a file or a command to be completed."""
        row, column = self.cursor_location
        found = _WORD.search(self.document.get_line(row)[:column])
        if not found or (found[1][0] == "/" and (row, found.start(1)) != (0, 0)):
            return None
        return Completing(found[1][0], found[1][1:], row, found.start(1), column)

    def complete(self, completing: Completing, text: str) -> None:
        start, end = (completing.row, completing.start), (completing.row, completing.end)
        result = self.replace(f"{completing.sign}{text} ", start, end, maintain_selection_offset=False)
        self.move_cursor(result.end_location)
