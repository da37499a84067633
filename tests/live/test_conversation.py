"""Talking to the real servers: recognised, text, usage, thoughts, overflow, cancelling."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from coder.errors import ContextOverflow
from coder.model.client import ModelClient
from coder.model.messages import Delta
from coder.model.thinking import Thinking
from tests.live.servers import Server
from tests.live.support import OFF, ask, asking, ceaseless, endless, forced, report
from tests.model.support import Heard

pytestmark = pytest.mark.live
SENTENCE = "All 12 tests pass; `parse()` was wrong at x < 0."


async def test_the_server_is_recognised(server: Server, client: ModelClient) -> None:
    endpoint = client.endpoint
    assert endpoint.backend.name == server.kind.partition("-")[0]
    assert endpoint.model == server.model
    assert endpoint.context_length == 16384
    assert client.profile.name == ("nemotron-3-super" if server.nemotron else "small-coder")
    if server.vllm:  # the embedded llama.cpp does not know its own version
        assert re.fullmatch(r"0\.32\.0.*", endpoint.backend.version)


async def test_text_arrives_as_it_was_written(server: Server, client: ModelClient) -> None:
    heard = Heard()
    reply = await ask(
        client,
        *asking("How did it go?"),
        extra=forced(server, SENTENCE),
        max_tokens=60,
        thinking=OFF,
        on_delta=heard.on_delta,
    )
    assert (reply.text, reply.thinking, reply.calls) == (SENTENCE, "", ())
    assert reply.finish == "stop"
    assert "".join(delta.text for delta in heard.deltas) == SENTENCE


async def test_usage_is_the_servers_own_count(server: Server, client: ModelClient) -> None:
    long = asking("Repeat: " + "the quick brown fox jumps over the lazy dog; " * 30)
    first = await ask(client, *long, extra=forced(server, SENTENCE), max_tokens=60, thinking=OFF)
    again = await ask(client, *long, extra=forced(server, SENTENCE), max_tokens=60, thinking=OFF)
    # a forced text may be cut into more tokens than the tokenizer makes of it
    assert server.count(SENTENCE) <= again.usage.completion <= 2 * server.count(SENTENCE)
    assert first.usage.prompt == again.usage.prompt > server.count(str(long[1]["content"]))
    assert again.usage.cached > 0.5 * again.usage.prompt, "the same prompt was not found in the cache"


@pytest.mark.live("llama.cpp-nemotron", "vllm-nemotron")
async def test_a_thought_is_kept_apart_from_the_answer(server: Server, client: ModelClient) -> None:
    if (
        server.vllm
    ):  # these weights never close a thought: the budget does, and the constraint begins after it
        extra, thinking = ceaseless(server, "blue"), Thinking(12)
    else:
        extra, thinking = forced(server, "The sky is clear.\n</think>\nblue"), Thinking("full")
    heard = Heard()
    reply = await ask(
        client,
        *asking("Explain in 100 words which colour the sky has."),
        extra=extra,
        max_tokens=60,
        thinking=thinking,
        on_delta=heard.on_delta,
    )
    assert reply.text.strip() == "blue"
    assert reply.thinking
    assert "think>" not in reply.text + reply.thinking
    assert 0 < reply.usage.thinking < reply.usage.completion
    assert [delta.kind for delta in heard.deltas] == sorted((d.kind for d in heard.deltas), reverse=True)


async def test_a_prompt_over_the_context_is_told_apart_from_other_refusals(
    server: Server, client: ModelClient
) -> None:
    with pytest.raises(ContextOverflow) as told:
        await client.stream(asking("word " * 20_000), max_tokens=10, thinking=OFF)
    assert told.value.limit == client.endpoint.context_length


async def test_cancelling_stops_the_servers_work(server: Server, client: ModelClient) -> None:
    begun = asyncio.Event()

    async def note(delta: Delta) -> None:
        begun.set()

    task = asyncio.create_task(
        ask(
            client,
            *asking("Count to a million."),
            extra=endless(server),
            max_tokens=4000,
            thinking=OFF,
            on_delta=note,
        )
    )
    await begun.wait()
    busy = await asyncio.to_thread(server.running_requests)
    task.cancel()
    cancelled = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    while await asyncio.to_thread(server.running_requests):
        assert time.monotonic() - cancelled < 20, "still at work on a request that nobody waits for"
        await asyncio.sleep(0.05)
    report(f"{server.kind}: idle {time.monotonic() - cancelled:.2f} s after the cancel")
    assert busy == 1, "the server's own count of running requests says nothing"
