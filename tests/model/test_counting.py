"""A chat's tokens, counted by servers that offer to."""

from typing import Any

import pytest

from coder.model.backends import Backend
from coder.model.counting import count_prompt
from coder.model.endpoint import Endpoint
from tests.model.support import ASK, BASH
from tests.scripted_server import ScriptedServer, Turn

BODY = {"model": "m", "messages": ASK, "tools": [BASH], "stream": True, "temperature": 1.0}


@pytest.mark.parametrize(
    ("name", "path", "answer", "count"),
    [
        ("vllm", "/tokenize", {"count": 230, "max_model_len": 8192, "tokens": [1]}, 230),
        ("sglang", "/tokenize", {"tokens": [1], "count": 12, "max_model_len": 8192}, 12),
        ("llama.cpp", "/v1/chat/completions/input_tokens", {"input_tokens": 30}, 30),
        ("vllm", "/tokenize", {"error": "no"}, None),
        ("vllm", "/tokenize", {"count": True}, None),
    ],
)
async def test_each_server_is_asked_in_its_own_way(
    name: str, path: str, answer: dict[str, Any], count: int | None
) -> None:
    with ScriptedServer([Turn(body=answer)]) as server:
        endpoint = Endpoint(server.base_url, "m", backend=Backend(name))
        assert await count_prompt(endpoint, BODY) == count
    (asked,) = server.requests
    assert asked.path == path
    assert asked.body == {"model": "m", "messages": ASK, "tools": [BASH]}


async def test_a_server_that_does_not_count_is_not_asked() -> None:
    with ScriptedServer([]) as server:
        endpoint = Endpoint(server.base_url, "m", backend=Backend("ollama"))
        assert await count_prompt(endpoint, BODY) is None
    assert server.requests == []


async def test_a_server_that_refuses_to_count_is_no_trouble() -> None:
    with ScriptedServer([Turn(status=500, body="no")]) as server:
        endpoint = Endpoint(server.base_url, "m", backend=Backend("vllm"))
        assert await count_prompt(endpoint, BODY) is None
