"""A chat's tokens, counted by the server itself where it offers to."""

from __future__ import annotations

from typing import Any

from coder.model import wire
from coder.model.endpoint import Endpoint

COUNT_SECONDS = 10.0
_FIELDS = ("model", "messages", "tools", "chat_template_kwargs")


async def count_prompt(endpoint: Endpoint, body: dict[str, Any]) -> int | None:
    """The tokens of the chat request `body`; None where the server does not count.

    vLLM's and SGLang's `/tokenize` answer `count`, llama.cpp's `/v1/chat/completions/input_tokens` `input_tokens`.
    """
    counter = endpoint.backend.traits.counter
    if not counter:
        return None
    asked = {name: body[name] for name in _FIELDS if name in body}
    root = endpoint.base_url.removesuffix("/v1")
    answer = await wire.post(root + counter, asked, api_key=endpoint.api_key, timeout=COUNT_SECONDS)
    told = answer.json()
    if answer.status != 200 or not isinstance(told, dict):
        return None
    count = told.get("count", told.get("input_tokens"))
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None
