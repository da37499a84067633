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
        """Where the client itself cuts: the budget and a margin, for servers end a thought at a newline (NIM
        grants ten per cent for it) and our count is an estimate."""
        return None if self.budget is None else self.budget + 64 + self.budget // 10


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
    fields: dict[str, Any] = (
        {"chat_template_kwargs": kwargs} if kwargs and backend.takes_template_kwargs else {}
    )
    return fields | (_budget_fields(backend, thinking.budget) if thinking.budget else {})


def _budget_fields(backend: Backend, budget: int) -> dict[str, Any]:
    match backend.name:
        case "vllm" | "tensorrt-llm":
            return {"thinking_token_budget": budget}
        case "llama.cpp":
            return {"reasoning_budget_tokens": budget}
        case "sglang":
            return {"custom_params": {"thinking_budget": budget}}
        case "nim":
            return {"nvext": {"max_thinking_tokens": budget}}
    return {}


def estimate_tokens(text_length: int) -> int:
    """Tokens of so many characters, rounded up; for servers that do not count for us."""
    return -(-text_length // _CHARS_PER_TOKEN)


def split_thinking(content: str, *, close_only: bool) -> tuple[str, str]:
    """Separate a thought that a server left inside the content: `(thinking, text)`.

    Only a thought at the very start counts; an unclosed one is all thinking. `close_only` also accepts one whose
    opening tag was part of the prompt, so that only `</think>` arrives, at the end of a line.
    """
    start = content.lstrip()
    if start.startswith(OPEN):
        thought, _, rest = start[len(OPEN) :].partition(CLOSE)
        return thought.strip(), rest.lstrip("\n")
    if close_only and OPEN not in content and (close := _LONE_CLOSE.search(content)):
        return content[: close.start()].strip(), content[close.end() :].lstrip("\n")
    return "", content


class ThinkSplitter:
    """The streaming sibling of `split_thinking`: feeds content in pieces, hands out (kind, text) pieces.

    Holds back only what may still become a tag.
    """

    def __init__(self) -> None:
        self._mode = "start"
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
