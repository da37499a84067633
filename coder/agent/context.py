"""The transcript: append-only, so that a server's prefix cache keeps hitting."""

from __future__ import annotations

from typing import Any

MASK = "[an older result, left out to make room; run the call again if it is needed]"
KEEP = 10
"""How many of the newest tool results survive masking."""


class Transcript:
    """The messages of one attempt. They change in place only in `mask`, which is rare and said so."""

    def __init__(self, *start: dict[str, Any]) -> None:
        self.messages: list[dict[str, Any]] = list(start)

    @property
    def size(self) -> int:
        """The characters of all that the messages say; a thought, which goes back under two names, counts once."""
        return sum(
            _size(value)
            for message in self.messages
            for name, value in message.items()
            if name != "reasoning"
        )

    def append(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def cut(self, length: int) -> None:
        """Go back to the first `length` messages."""
        del self.messages[length:]

    def open_calls(self) -> list[tuple[str, str]]:
        """Id and name of each call of the last answer that has no result yet."""
        last = max((i for i, m in enumerate(self.messages) if m["role"] == "assistant"), default=-1)
        calls = self.messages[last].get("tool_calls", []) if last >= 0 else []
        after = self.messages[last + 1 :]
        if any(message["role"] != "tool" for message in after):
            return []
        return [(call["id"], call["function"]["name"]) for call in calls[len(after) :]]

    def mask(self) -> int:
        """Blank the older tool results in one step; returns how many. When the newest alone are too many,
        a second call blanks all but the last of them."""
        results = [message for message in self.messages if message["role"] == "tool"]
        for keep in (KEEP, 1):
            old = [message for message in results[:-keep] if message["content"] != MASK]
            for message in old:
                message["content"] = MASK
            if old:
                return len(old)
        return 0


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_size(each) for each in value.values())
    return sum(map(_size, value)) if isinstance(value, list) else 0
