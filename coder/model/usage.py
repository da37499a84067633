"""Tokens as servers report them in a stream, each in its own place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coder.model.messages import Usage


@dataclass(slots=True)
class Counted:
    """Feed it the chunks of one answer; `usage` has what the server told, and 0 where it told nothing.

    `usage` objects come at the end, or in each chunk with `continuous_usage_stats` (vLLM, SGLang, TensorRT-LLM);
    llama.cpp adds `timings`, in each chunk with `timings_per_token`.
    """

    _usage: dict[str, Any] = field(default_factory=dict)
    _timings: dict[str, Any] = field(default_factory=dict)

    def take(self, chunk: dict[str, Any]) -> None:
        self._usage = _dict(chunk.get("usage")) or self._usage
        self._timings = _dict(chunk.get("timings")) or self._timings

    @property
    def written(self) -> int:
        """The tokens of the answer so far, thoughts included."""
        return _count(self._usage.get("completion_tokens")) or _count(self._timings.get("predicted_n"))

    @property
    def usage(self) -> Usage:
        cached = _dict(self._usage.get("prompt_tokens_details")).get("cached_tokens")
        cached = cached if isinstance(cached, int) else self._timings.get("cache_n")
        read = _count(self._timings.get("prompt_n")) + _count(self._timings.get("cache_n"))
        prompt = _count(self._usage.get("prompt_tokens")) or read
        thinking = _count(_dict(self._usage.get("completion_tokens_details")).get("reasoning_tokens"))
        return Usage(
            prompt,
            min(_count(cached), prompt),
            self.written,
            thinking,
            cached_reported=isinstance(cached, int),
        )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
