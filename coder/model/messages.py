"""Plain data of the conversation with a model, and the message dicts (OpenAI's shape) that go over the wire."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coder.model.profile import Profile

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that the model asked for.

    `error` says why the arguments could not be read; then `arguments` is empty and the call must not be
    executed, but it does get an answer.
    """

    id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `cached` is part of `prompt`, `thinking` is part of `completion`. `cached_reported` says that the
    server tells what it had cached, so that a 0 means none."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    thinking: int = 0
    cached_reported: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.thinking + other.thinking,
            self.cached_reported or other.cached_reported,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer.

    `finish` is the server's word (`stop`, `length`, `tool_calls`, …) or `budget`: thinking was cut and no answer
    followed. `recovered` counts the calls that were found in text rather than sent as calls. `allowed` is the
    thinking budget in tokens where there was one, `cuts` how often the client itself ended the thought. Empty text
    without a call is a normal event, not an error.
    """

    text: str
    thinking: str
    calls: tuple[ToolCall, ...]
    finish: str
    usage: Usage
    seconds: float
    first_token_seconds: float
    recovered: int = 0
    allowed: int | None = None
    cuts: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a running answer. `kind` is text, thinking or call; a call's first piece is its name.

    Lossy: after a retry the pieces start again, and what looked like text may turn out to be a call.
    """

    kind: str
    text: str


def system(text: str) -> Message:
    return {"role": "system", "content": scrub(text)}


def user(text: str) -> Message:
    return {"role": "user", "content": scrub(text)}


def assistant(reply: Reply, profile: Profile) -> Message:
    """The model's own turn, as history.

    Reasoning goes back under both names where the profile keeps it: vLLM 0.20 reads only `reasoning`, llama.cpp
    and TensorRT-LLM only `reasoning_content`. Arguments are canonical JSON: a server whose template needs a
    mapping answers 400 to anything else.
    """
    return said_before(reply.text, reply.thinking if profile.thinking.keep_history else "", reply.calls)


def said_before(text: str, thinking: str, calls: Sequence[ToolCall]) -> Message:
    """An assistant message out of its parts."""
    message: Message = {"role": "assistant", "content": scrub(text)}
    if thinking:
        message["reasoning_content"] = message["reasoning"] = scrub(thinking)
    if calls:
        message["tool_calls"] = [_call_message(call) for call in calls]
    return message


def tool(call_id: str, text: str) -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": scrub(text)}


def canonical_json(value: object) -> str:
    """The same bytes for the same value, whatever the order of its keys."""
    return scrub(json.dumps(value, sort_keys=True, ensure_ascii=False))


def scrub(text: str) -> str:
    """Replace lone surrogates (a model can write them as JSON escapes): they cannot be sent as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _call_message(call: ToolCall) -> Message:
    function = {"name": scrub(call.name), "arguments": canonical_json(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}
