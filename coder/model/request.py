"""The body of a chat request: what this server takes, without what it once refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from coder.model.continuation import continued
from coder.model.endpoint import Endpoint
from coder.model.messages import Message
from coder.model.profile import Profile
from coder.model.thinking import Thinking, request_fields

_LEAST_ROOM = 1024
_FEW_CHARACTERS = 3  # a token; fewer than text has, so that the rest is really free
_MESSAGE_FIELDS = ("reasoning_content", "reasoning")
_NESTED = ("chat_template_kwargs", "stream_options")
_NEEDED = {"model", "messages", "stream", "tools", "max_completion_tokens", *_NESTED} | {
    "continue_final_message",
    "add_generation_prompt",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the caller meant it. None leaves a value to the profile, then to the server.

    `closed_thought` is what the model has thought already; the answer begins after it.
    """

    messages: list[Message]
    tools: list[dict[str, Any]] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    thinking: Thinking = field(default_factory=Thinking)
    closed_thought: str = ""


@dataclass(slots=True)
class Refusals:
    """The optional fields that this server refused; left out of all later requests."""

    fields: set[str] = field(default_factory=set)

    def body(self, request: Request, endpoint: Endpoint, profile: Profile) -> dict[str, Any]:
        """The JSON body, in a fixed order of keys."""
        body: dict[str, Any] = {
            "model": endpoint.model,
            "messages": self._messages(request.messages),
            "stream": True,
        }
        body |= self._kept(_optional_fields(request, endpoint, profile))
        limit = _room(request, endpoint, request.max_tokens or profile.max_tokens)
        body["max_completion_tokens" if "max_tokens" in self.fields else "max_tokens"] = limit
        if request.tools:
            body["tools"] = request.tools
        if request.closed_thought:
            body = continued(body, request.closed_thought, endpoint.backend)
        return body

    def droppable(self, body: dict[str, Any]) -> dict[str, object]:
        """What could be left out of this body if the server names it, keyed as `failures.refused_field` wants it."""
        fields: dict[str, object] = {key: body[key] for key in body if key not in _NEEDED}
        for outer in _NESTED:
            fields |= {f"{outer}.{key}": value for key, value in body.get(outer, {}).items()}
            if outer in body:
                fields[outer] = body[outer]
        used = {key for message in body["messages"] for key in _MESSAGE_FIELDS if key in message}
        return fields | dict.fromkeys(used)

    def _kept(self, fields: dict[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in fields.items() if key not in self.fields}
        for outer in _NESTED:
            if outer in kept:
                kept[outer] = {
                    key: value for key, value in kept[outer].items() if f"{outer}.{key}" not in self.fields
                }
            if kept.get(outer) == {}:
                del kept[outer]
        return kept

    def _messages(self, messages: list[Message]) -> list[Message]:
        refused = self.fields.intersection(_MESSAGE_FIELDS)
        if not refused:
            return messages
        return [{key: value for key, value in message.items() if key not in refused} for message in messages]


def _room(request: Request, endpoint: Endpoint, wanted: int) -> int:
    """As many tokens as the context surely has left; vLLM 0.20 refuses a wish for more."""
    context = endpoint.context_length
    if not context or context > 8 * wanted:
        return wanted
    size = len(json.dumps([request.messages, request.tools], ensure_ascii=False))
    return min(wanted, max(_LEAST_ROOM, context - size // _FEW_CHARACTERS))


def _optional_fields(request: Request, endpoint: Endpoint, profile: Profile) -> dict[str, Any]:
    traits = endpoint.backend.traits
    fields: dict[str, Any] = {"stream_options": {"include_usage": True}}
    sampling = {
        "temperature": profile.temperature if request.temperature is None else request.temperature,
        "top_p": profile.top_p,
        "top_k": profile.top_k if traits.top_k else None,
        "seed": request.seed,
    }
    fields |= {key: value for key, value in sampling.items() if value is not None}
    fields |= request_fields(request.thinking, endpoint.backend, profile)
    if profile.thinking.supports and request.thinking.mode != "off" and traits.running_count:
        outer, *inner = traits.running_count
        fields[outer] = fields.get(outer, {}) | {inner[0]: True} if inner else True
    return fields | profile.extra
