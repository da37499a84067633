"""Lists to choose from and one-line questions: both take the composer's place, and a key press or a line of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coder.transcript.line import cells, clip
from coder.transcript.safe import visible
from coder.tui import fuzzy
from coder.tui.plate import DIM, PICKED, PLAIN, STRONG, Plate, Row

SHOWN = 10
"""Entries on the screen at once, at most."""


@dataclass(frozen=True, slots=True)
class Item:
    """An entry: `value` is what is chosen, `label` what is searched, `detail` stands at the right."""

    value: str
    label: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A list: what it is called, its entries, what becomes of the chosen one. `manages`: sessions can be changed."""

    title: str
    items: Sequence[Item]
    done: Callable[[str], None]
    manages: bool = False
    typed: Callable[[str], None] | None = None
    """Told of each change of the highlighted entry, for a preview; and of the first one again when it is left."""


@dataclass(frozen=True, slots=True)
class Question:
    """A line of text is asked for. `done` gets it, `left` is called instead when there is none."""

    label: str
    done: Callable[[str], None]
    left: Callable[[], None] = lambda: None
    typed: Callable[[str], None] | None = None
    """Told of each change, for a search as one types."""


class LineOfText:
    """What is typed into a panel."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def press(self, key: str, character: str | None) -> bool:
        """Take a key press; whether it changed the text."""
        before = self.text
        if key == "backspace":
            self.text = self.text[:-1]
        elif key == "ctrl+u":
            self.text = ""
        elif key == "ctrl+w":
            self.text = self.text.rstrip().rpartition(" ")[0]
        elif character and character.isprintable():
            self.text += visible(character)
        return self.text != before

    def paste(self, text: str) -> None:
        self.text += visible(" ".join(text.split()))


class Picker(Plate):
    """A list with a filter."""

    def __init__(self) -> None:
        super().__init__("picker")
        self.choice: Choice | None = None
        self.line = LineOfText()
        self._found: list[Item] = []
        self._at = 0

    def open(self, choice: Choice) -> None:
        self.choice, self.line = choice, LineOfText()
        self._filter()

    def close(self) -> None:
        self.choice = None
        self.show([])

    @property
    def picked(self) -> Item | None:
        return self._found[self._at] if self._found else None

    def press(self, key: str, character: str | None) -> None:
        if self.line.press(key, character):
            self._filter()

    def paste(self, text: str) -> None:
        self.line.paste(text)
        self._filter()

    def move(self, by: int) -> None:
        if self._found:
            self._at = (self._at + by) % len(self._found)
            self._changed()

    def _filter(self) -> None:
        assert self.choice is not None
        by_label: dict[str, list[Item]] = {}
        for item in self.choice.items:
            by_label.setdefault(item.label, []).append(item)
        labels = fuzzy.best(self.line.text, by_label, 200)
        self._found = [item for label in labels for item in by_label[label]]
        self._at = 0
        self._changed()

    def _changed(self) -> None:
        self.draw()
        if self.choice and self.choice.typed and self.picked:
            self.choice.typed(self.picked.value)

    def draw(self) -> None:
        if self.choice is None:
            return
        width, count = self.app.size.width, min(SHOWN, max(3, self.app.size.height - 8))
        first = min(max(0, self._at - count // 2), max(0, len(self._found) - count))
        entries = self._found[first : first + count]
        more = f"{self._at + 1} of {len(self._found)}" if self._found else "nothing fits"
        head: Row = [(f" {self.choice.title} ", STRONG), (f"› {self.line.text}", PLAIN), (f"  {more}", DIM)]
        rows = [_entry(item, width, picked=item is self.picked) for item in entries]
        keys = "Enter takes it · type to filter · Esc leaves"
        if self.choice.manages:
            keys += " · Ctrl+N rename · Ctrl+K fork · Ctrl+X delete"
        self.show([head, *rows, [(clip(f" {keys}", width), DIM)]])


class Asker(Plate):
    """A question whose answer is one line."""

    def __init__(self) -> None:
        super().__init__("asker")
        self.question: Question | None = None
        self.note = ""
        """Stands behind the text: what `typed` found out."""
        self.line = LineOfText()

    def open(self, question: Question, text: str = "") -> None:
        self.question, self.line, self.note = question, LineOfText(text), ""
        self.draw()

    def close(self) -> None:
        self.question = None
        self.show([])

    def press(self, key: str, character: str | None) -> None:
        if self.line.press(key, character):
            self._changed()

    def paste(self, text: str) -> None:
        self.line.paste(text)
        self._changed()

    def _changed(self) -> None:
        if self.question and self.question.typed:
            self.question.typed(self.line.text)
        self.draw()

    def draw(self) -> None:
        if self.question is not None:
            label = visible(self.question.label)
            room = max(8, self.app.size.width - cells(label) - 6)
            text = self.line.text[-room:]
            self.show(
                [[(f" {label} ", STRONG), (f"› {text}", PLAIN), (" ", PICKED), (f"  {self.note}", DIM)]]
            )


def _entry(item: Item, width: int, *, picked: bool) -> Row:
    detail = clip(visible(item.detail), width // 2)
    label = clip(visible(" ".join(item.label.split())), max(4, width - cells(detail) - 5))
    space = " " * max(1, width - cells(label) - cells(detail) - 4)
    style = PICKED if picked else PLAIN
    return [(f" {'›' if picked else ' '} {label}{space}", style), (detail, style if picked else DIM)]
