"""Where a person writes: many lines, folded pastes, earlier texts, completion of `@files` and `/commands`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from textual.strip import Strip
from textual.widgets import TextArea

from sandbox.text import clean_text

FOLD_PASTE = (10, 1000)
"""A paste of more lines or characters than that becomes a chip."""

FOLD_TEXT = (200, 20_000)
"""The same for a text that comes back: a draft, an earlier text, one from the editor."""

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

    def on_resize(self) -> None:
        """Where one writes stays in sight."""
        self.call_after_refresh(self.scroll_cursor_visible, animate=False)

    def render_line(self, y: int) -> Strip:
        """In a terminal without room for a single character, Textual's own would wrap the placeholder at no width."""
        return super().render_line(y) if self.content_size.width > 0 else Strip.blank(self.size.width)

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
            self.paste(text, FOLD_TEXT)

    def paste(self, text: str, fold: tuple[int, int] = FOLD_PASTE) -> None:
        """Insert `text`, folded when it is longer than `fold`. What could steer a terminal or hide is made visible."""
        text = clean_text(text.replace("\r\n", "\n").replace("\r", "\n"))
        lines = text.count("\n") + 1
        if lines > fold[0] or len(text) > fold[1]:
            chip = f"[pasted {len(self._folded) + 1}: {lines} lines, {len(text)} characters]"
            self._folded[chip] = text
            text = chip
        result = self.replace(text, *self.selection, maintain_selection_offset=False)
        self.move_cursor(result.end_location)

    async def press(self, key: str, character: str | None) -> None:
        """Take a key press: write, move, delete."""
        if character is not None and character.isprintable():
            self._replace_via_keyboard(clean_text(character), *self.selection)
            return
        for binding in self._bindings.key_to_bindings.get(key, ()):
            await self.app.run_action(binding.action, self)
            return

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
