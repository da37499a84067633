"""What every event has, and the plain data inside some."""

from __future__ import annotations

from typing import Any

import msgspec

VERSION = 1


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """`t` is seconds since the epoch; `span` names the part of the run; `parent` is the span around it."""

    v: int = VERSION
    seq: int = 0
    t: float = 0.0
    run: str = ""
    span: str = ""
    parent: str = ""


class Call(msgspec.Struct, frozen=True):
    """A tool call as the model asked for it."""

    id: str
    name: str
    arguments: dict[str, Any]


class Spent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens as the server counted them (thinking is part of completion, cached of prompt). `thinking_cuts` counts
    the thoughts that were ended at their budget on our side."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    thinking_tokens: int = 0
    tool_calls: int = 0
    turns: int = 0
    thinking_cuts: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))
