"""The window's small parts draw themselves: a widget is some lines of styled pieces, never markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content
from textual.widget import Widget

from coder.transcript.line import plain, wrap

Piece = tuple[str, str]
"""Text and its style (a theme's variable or a Textual style; empty is plain). The text must be clean."""
Row = Sequence[Piece]

PLAIN, DIM, STRONG, GOOD, BAD, CARE, PICKED = (
    "",
    "$text-muted",
    "bold",
    "$text-success",
    "$text-error bold",
    "$text-warning",
    "reverse",
)


class Plate(Widget):
    """Shows rows. One without rows takes no room."""

    def __init__(self, id_: str) -> None:
        super().__init__(id=id_)
        self.rows: list[Row] = []
        self._content = Content()
        self.display = False

    def show(self, rows: Iterable[Row]) -> None:
        rows = list(rows)
        if rows == self.rows:
            return
        grown = len(rows) != len(self.rows)
        self.rows = rows
        self._content = Content("\n").join([Content.assemble(*row) for row in rows])
        self.display = bool(rows)
        self.refresh(layout=grown)

    def render(self) -> Content:
        return self._content


def wrapped(text: str, columns: int) -> list[str]:
    """`text` in lines of at most that many columns, broken anywhere: nothing is left out."""
    return [plain(line) for line in wrap([(text, PLAIN)], columns, words=False)]
