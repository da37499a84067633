"""What the live tests share: a connected client, certain answers from weights that are certain of nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coder.model import messages
from coder.model.client import ModelClient
from coder.model.endpoint import connect
from coder.model.messages import Message, Reply
from coder.model.retry import Retries
from coder.model.thinking import Thinking
from tests.live.servers import Server

FIGURES: list[str] = []
"""What was measured; printed at the end of the run."""
OFF = Thinking("off")
IMPATIENT = Retries(busy=3, broken=1, loading=60.0, restart=5.0, base=0.1, cap=0.5)
BASH = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Run a command in the shell.",
        "parameters": {
            "type": "object",
            "properties": {"command": {"type": "string", "description": "the command"}},
            "required": ["command"],
        },
    },
}


async def client_of(server: Server, retries: Retries | None = None, **extra: Any) -> ModelClient:
    """A client at temperature 0 with additional request fields; a server that dies is an error soon."""
    endpoint, profile = await connect(server.base_url, None, None)
    profile = replace(profile, temperature=0.0, top_p=None, extra=extra)
    return ModelClient(endpoint, profile, retries=retries or IMPATIENT)


async def ask(client: ModelClient, *conversation: Message, extra: dict[str, Any], **wanted: Any) -> Reply:
    """One reply with request fields that only this server knows."""
    profile = client.profile
    client.profile = replace(profile, extra=extra)
    try:
        return await client.stream(list(conversation), **wanted)
    finally:
        client.profile = profile


def report(line: str) -> None:
    FIGURES.append(line)
    print(f"\nlive: {line}", flush=True)


def asking(text: str, system: str = "You are terse.") -> list[Message]:
    return [messages.system(system), messages.user(text)]


def forced(server: Server, text: str) -> dict[str, Any]:
    """Request fields that leave the model one possible answer. Not beside tools on llama.cpp, which refuses it."""
    if server.vllm:
        return {"structured_outputs": {"choice": [text]}}
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return {"grammar": f'root ::= "{quoted}"'}


def endless(server: Server) -> dict[str, Any]:
    """Request fields that leave the answer no end, and keep it to words: control tokens would not be seen."""
    if server.vllm:
        return {"structured_outputs": {"regex": "[a-z ]+"}, "min_tokens": 4000}
    return {"grammar": "root ::= [a-z ]+", "ignore_eos": True}


def ceaseless(server: Server, answer: str) -> dict[str, Any]:
    """vLLM's request fields for a thought that ends by its budget alone, and the one possible answer after it.

    The end tokens and the other tokens of Qwen's format that would not be seen are ruled out; a complete answer ends
    all the same.
    """
    unseen = [number for number in range(151643, 151665) if number not in (151657, 151658)]
    return forced(server, answer) | {"logit_bias": dict.fromkeys(map(str, unseen), -100)}
