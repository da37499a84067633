"""A conversation of 30 turns as the agent holds it: what was sent once is not computed again."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from coder.model import messages
from coder.model.client import ModelClient
from coder.model.messages import ToolCall
from tests.live.servers import Server
from tests.live.support import BASH, OFF, asking, report

TURNS = 30
# Tokens of the prompt come from the cache; vLLM caches whole blocks only, of 128 tokens on a processor.
LEAST = {"llama.cpp": 0.95, "llama.cpp-nemotron": 0.95, "vllm-nemotron": 0.5}


@pytest.mark.live(*LEAST)
async def test_a_growing_conversation_comes_from_the_prefix_cache(
    kind: str, server: Server, client: ModelClient
) -> None:
    talk = asking("Find out why test_parse fails.", "You are a careful programmer. " * 8)
    cached = reusable = prompt = completion = 0
    began = time.monotonic()
    for turn in range(TURNS):
        reply = await client.stream(talk, tools=[BASH], max_tokens=16, thinking=OFF)
        if turn:
            reusable += prompt + completion
            cached += reply.usage.cached
        prompt, completion = reply.usage.prompt, reply.usage.completion
        call = ToolCall(f"call_{turn}", "bash", {"command": f"sed -n {turn * 9},{turn * 9 + 9}p parse.py"})
        # the model's own words go back unchanged, with a call of ours
        talk.append(messages.assistant(replace(reply, calls=(call,)), client.profile))
        lines = "".join(f"    value_{turn}_{line} = table[{line}]\n" for line in range(4))
        talk.append(messages.tool(call.id, lines))
    share = cached / reusable
    report(
        f"{kind}: {TURNS} turns in {time.monotonic() - began:.0f} s, the last prompt {prompt} tokens; "
        f"cached {cached} of {reusable} reusable tokens, {share:.1%}"
    )
    assert share >= LEAST[kind]
