"""What the user says while the model works: steering for the next tool's end, and tasks held until the present one
is done."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

OPEN, CLOSE = "<user_message>", "</user_message>"
_FORGED = re.compile(r"<(?=\s*/?\s*user_message)", re.IGNORECASE)

Kind = Literal["steer", "hold"]


@dataclass(frozen=True, slots=True)
class Queued:
    kind: Kind
    text: str


class Inbox:
    """One ordered queue. `on_change` is called after each change, on the loop's thread."""

    def __init__(self, on_change: Callable[[Inbox], None] | None = None) -> None:
        self._queue: list[Queued] = []
        self._on_change = on_change

    def steer(self, text: str) -> None:
        """For the model as soon as the tool that runs now has ended."""
        self._put(Queued("steer", text))

    def hold(self, text: str) -> None:
        """For the model when the present task is done."""
        self._put(Queued("hold", text))

    def take_back(self) -> str:
        """The text that was queued last, no longer queued; empty when there is none."""
        if not self._queue:
            return ""
        text = self._queue.pop().text
        self._changed()
        return text

    def clear(self) -> tuple[str, ...]:
        """Everything that was queued, oldest first."""
        texts = self.texts()
        if texts:
            self._queue.clear()
            self._changed()
        return texts

    def steering(self) -> tuple[str, ...]:
        """Take what is to be delivered now."""
        return self._take("steer")

    def next_task(self) -> str:
        """Take what follows when nothing runs: steering that came too late, as one text, else the first held text."""
        if late := self._take("steer"):
            return "\n\n".join(late)
        first = next((item for item in self._queue if item.kind == "hold"), None)
        if first is None:
            return ""
        self._queue.remove(first)
        self._changed()
        return first.text

    def texts(self, kind: Kind | None = None) -> tuple[str, ...]:
        """What waits, oldest first: all, or of one kind."""
        return tuple(item.text for item in self._queue if kind in (None, item.kind))

    def _take(self, kind: Kind) -> tuple[str, ...]:
        texts = self.texts(kind)
        if texts:
            self._queue = [item for item in self._queue if item.kind != kind]
            self._changed()
        return texts

    def _put(self, item: Queued) -> None:
        self._queue.append(item)
        self._changed()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self)


def as_note(texts: tuple[str, ...]) -> str:
    """The user's words as they stand at the end of a tool's result."""
    return "\n\n".join(f"{OPEN}\n{text}\n{CLOSE}" for text in texts)


def without_forgery(text: str) -> str:
    """A tool's result in which nothing passes for the user's word, whatever a file or a program printed."""
    return _FORGED.sub("‹", text)
