"""Thinking budgets: how each server is told, how the client counts, and where thoughts hide in plain content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coder.errors import ConfigError

if TYPE_CHECKING:
    from coder.model.backends import Backend
    from coder.model.profile import Profile

OPEN, CLOSE = "<think>", "</think>"
GRACE = 16
_EFFORTS: dict[str | int, str] = {"off": "none", "low": "low"}
_CHARS_PER_TOKEN = 4
_LONE_CLOSE = re.compile(rf"(?<![`'\"]){CLOSE}[ \t]*(?=\n|\Z)")


@dataclass(frozen=True, slots=True)
class Thinking:
    """How much a model may think before it answers: `off`, `low`, `full`, or a number of tokens."""

    mode: str | int = "full"

    @classmethod
    def parse(cls, value: str | int) -> Thinking:
        """Raises ConfigError for anything but off, low, full or a number of tokens."""
        if isinstance(value, int) or (value.isascii() and value.isdigit()):
            return cls(int(value)) if int(value) > 0 else cls("off")
        if value not in ("off", "low", "full"):
            raise ConfigError(f"thinking must be off, low, full or a number of tokens, not {value!r}")
        return cls(value)

    @property
    def budget(self) -> int | None:
        """Tokens, or None where no number was given."""
        return self.mode if isinstance(self.mode, int) else None

    @property
    def cut_at(self) -> int | None:
        """The token after which the client itself cuts: a tenth above the budget (NIM grants as much to reach a
        newline) and a few, for a piece may carry several."""
        return None if self.budget is None else self.budget + self.budget // 10 + GRACE


def request_fields(thinking: Thinking, backend: Backend, profile: Profile) -> dict[str, Any]:
    """The fields that tell this server about thinking. Empty where nothing is known to work."""
    controls = profile.thinking
    if not controls.supports:
        return {}
    kwargs = dict(controls.chat_template_kwargs)
    if thinking.mode == "off":
        kwargs |= controls.off
    elif thinking.mode == "low":
        kwargs |= controls.low
    traits = backend.traits
    fields: dict[str, Any] = {"chat_template_kwargs": kwargs} if kwargs and traits.template_kwargs else {}
    # gpt-oss behind vLLM reads the field at the top level alone (entrypoints/openai, harmony)
    effort = kwargs.get("reasoning_effort") or (_EFFORTS.get(thinking.mode) if traits.effort else None)
    if effort:
        fields["reasoning_effort"] = effort
    return fields | (_nested(traits.budget, thinking.budget) if thinking.budget else {})


def _nested(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """`{"a": {"b": value}}` for the path `("a", "b")`; nothing for an empty one."""
    for key in reversed(path):
        value = {key: value}
    return value if isinstance(value, dict) else {}


def estimate_tokens(text_length: int) -> int:
    """Tokens of so many characters, rounded up; for servers that do not count for us."""
    return -(-text_length // _CHARS_PER_TOKEN)


def split_thinking(content: str, *, close_only: bool, inside: bool = False) -> tuple[str, str]:
    """Separate a thought that a server left inside the content: `(thinking, text)`.

    Only a thought at the very start counts; an unclosed one is all thinking. `close_only` also accepts one whose
    opening tag was part of the prompt, so that only `</think>` arrives, at the end of a line. `inside` says that it
    was opened there, so that all is thinking until the first closing tag.
    """
    start = content.lstrip()
    if inside and not start.startswith(OPEN):
        start = OPEN + start
    if start.startswith(OPEN):
        thought, _, rest = start[len(OPEN) :].partition(CLOSE)
        return thought.strip(), rest.lstrip("\n")
    if close_only and OPEN not in content and (close := _LONE_CLOSE.search(content)):
        return content[: close.start()].strip(), content[close.end() :].lstrip("\n")
    return "", content


class ThinkSplitter:
    """The streaming sibling of `split_thinking`: feeds content in pieces, hands out (kind, text) pieces.

    Holds back only what may still become a tag. `inside` says that the thought was opened in the prompt.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self._mode = "thinking" if inside else "start"
        self._held = ""

    def feed(self, piece: str) -> list[tuple[str, str]]:
        self._held += piece
        out: list[tuple[str, str]] = []
        if self._mode == "start":
            self._leave_start()
        if self._mode == "thinking":
            out += self._thinking()
        if self._mode == "text" and self._held:
            out.append(("text", self._held))
            self._held = ""
        return out

    def rest(self) -> list[tuple[str, str]]:
        """What is still held when the stream ends."""
        kind = "thinking" if self._mode == "thinking" else "text"
        held, self._held = self._held, ""
        return [(kind, held)] if held else []

    def _leave_start(self) -> None:
        begin = self._held.lstrip()
        if begin.startswith(OPEN):
            self._mode, self._held = "thinking", begin[len(OPEN) :]
        elif not OPEN.startswith(begin):
            self._mode = "text"

    def _thinking(self) -> list[tuple[str, str]]:
        thought, tag, rest = self._held.partition(CLOSE)
        if tag:
            self._mode, self._held = "text", rest.lstrip("\n")
        else:
            keep = _held_back(thought)
            thought, self._held = thought[: len(thought) - keep], thought[len(thought) - keep :]
        return [("thinking", thought)] if thought else []


def _held_back(text: str) -> int:
    """How many of the last characters could be the start of the closing tag."""
    return next((n for n in range(len(CLOSE) - 1, 0, -1) if text.endswith(CLOSE[:n])), 0)
