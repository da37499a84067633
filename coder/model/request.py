"""The body of a chat request: what this server takes, without what it once refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coder.model.endpoint import Endpoint
from coder.model.messages import Message
from coder.model.profile import Profile
from coder.model.thinking import Thinking, request_fields

_MESSAGE_FIELDS = ("reasoning_content", "reasoning")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the caller meant it. None leaves a value to the profile, then to the server."""

    messages: list[Message]
    tools: list[dict[str, Any]] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    thinking: Thinking = field(default_factory=Thinking)


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
        limit = request.max_tokens or profile.max_tokens
        if endpoint.context_length:
            limit = min(limit, endpoint.context_length)
        body["max_completion_tokens" if "max_tokens" in self.fields else "max_tokens"] = limit
        if request.tools:
            body["tools"] = request.tools
        return body

    def droppable(self, body: dict[str, Any]) -> dict[str, object]:
        """What could be left out of this body if the server names it, keyed as `failures.refused_field` wants it."""
        fields = {
            key: body[key]
            for key in body
            if key not in ("model", "messages", "stream", "tools", "max_completion_tokens")
        }
        kwargs = body.get("chat_template_kwargs", {})
        fields |= {f"chat_template_kwargs.{key}": value for key, value in kwargs.items()}
        used = {key for message in body["messages"] for key in _MESSAGE_FIELDS if key in message}
        return fields | dict.fromkeys(used)

    def _kept(self, fields: dict[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in fields.items() if key not in self.fields}
        if isinstance(kwargs := kept.get("chat_template_kwargs"), dict):
            left = {
                key: value
                for key, value in kwargs.items()
                if f"chat_template_kwargs.{key}" not in self.fields
            }
            kept["chat_template_kwargs"] = left
            if not left:
                del kept["chat_template_kwargs"]
        return kept

    def _messages(self, messages: list[Message]) -> list[Message]:
        refused = self.fields.intersection(_MESSAGE_FIELDS)
        if not refused:
            return messages
        return [{key: value for key, value in message.items() if key not in refused} for message in messages]


def _optional_fields(request: Request, endpoint: Endpoint, profile: Profile) -> dict[str, Any]:
    fields: dict[str, Any] = {"stream_options": {"include_usage": True}}
    sampling = {
        "temperature": profile.temperature if request.temperature is None else request.temperature,
        "top_p": profile.top_p,
        "top_k": profile.top_k if endpoint.backend.takes_top_k else None,
        "seed": request.seed,
    }
    fields |= {key: value for key, value in sampling.items() if value is not None}
    return fields | request_fields(request.thinking, endpoint.backend, profile)
