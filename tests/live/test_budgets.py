"""Thinking budgets on real servers, counted with the server's own tokenizer.

Every thought here would go on for hundreds of tokens. Held twice: by the server where it can, and by the client
alone, the budget's field withheld. These weights have no single token `<think>`, without which llama.cpp holds no
budget: there the client holds both.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest

from coder.model.client import ModelClient
from coder.model.messages import Reply
from coder.model.thinking import Thinking
from tests.live.servers import Server
from tests.live.support import asking, ceaseless, client_of, report
from tests.model.support import Heard

pytestmark = pytest.mark.live("llama.cpp-nemotron", "vllm-nemotron")
TOPICS = {
    "a bicycle": 16,
    "the tide": 16,
    "a lock on a canal": 20,
    "a binary search": 24,
    "a violin": 24,
    "a suspension bridge": 32,
    "photosynthesis": 32,
    "a hash table": 40,
    "a steam engine": 48,
    "an election": 48,
    "a compiler": 64,
    "a sailing boat": 64,
    "a refrigerator": 80,
    "a merge sort": 80,
    "the water cycle": 96,
    "a printing press": 100,
    "a mechanical clock": 128,
    "a vaccine": 128,
    "a solar panel": 160,
    "a file system": 200,
}
SIDE_BY_SIDE = 4
FIELDS = ("thinking_token_budget", "reasoning_budget_tokens")


@dataclass(frozen=True, slots=True)
class Run:
    budget: int
    reply: Reply
    thought: int
    cuts: int

    @property
    def limit(self) -> float:
        return self.budget * 1.1 + 32

    def row(self) -> str:
        text = " ".join(self.reply.text.split())[:30]
        return f"{self.budget:7d} {self.thought:7d} {self.limit:7.0f} {self.cuts:5d}  {self.reply.finish:10} {text}"


@pytest.mark.parametrize("held_by", ["server", "client"])
async def test_no_thought_is_longer_than_its_budget(server: Server, held_by: str) -> None:
    # vLLM's constraint begins after the thought; llama.cpp's would begin with it
    extra: dict[str, Any] = ceaseless(server, "done") if server.vllm else {}
    client = await client_of(server, **extra)
    if held_by == "client":
        client._refusals.fields.update(FIELDS)
    # where the server cannot hold them, its turn shows only that the field does no harm: a few are enough
    topics = dict(TOPICS if server.vllm or held_by == "client" else list(TOPICS.items())[:6])
    places = asyncio.Semaphore(SIDE_BY_SIDE if server.vllm else 2)
    began = time.monotonic()
    try:
        runs = await asyncio.gather(*(_run(client, server, places, *each) for each in topics.items()))
    finally:
        await client.close()
    longest = max(runs, key=lambda run: run.thought / run.limit)
    ended = sum(bool(run.reply.text) for run in runs)
    report(
        f"{server.kind}, budget held by the {held_by}: {len(runs)} runs in {time.monotonic() - began:.0f} s, "
        f"{ended} with an answer, {sum(run.cuts > 0 for run in runs)} cut by the client; "
        f"longest thought {longest.thought} tokens for a budget of {longest.budget}"
    )
    print(" budget thought   limit  cuts  finish     answer")
    print("\n".join(run.row() for run in runs), flush=True)
    assert all(run.thought <= run.limit for run in runs)
    assert all(run.thought >= run.budget / 3 for run in runs), "a thought ended by itself: nothing was tested"
    assert all(run.reply.finish in ("stop", "length") for run in runs)
    cut = [run for run in runs if run.cuts]
    if server.vllm:
        assert len(cut) == (len(runs) if held_by == "client" else 0)
    else:  # these weights may end a thought by themselves, before the cut that waits for the end of a line
        assert len(cut) >= 0.8 * len(runs)
    if server.vllm:
        assert {run.reply.text.strip() for run in runs} == {"done"}


async def _run(
    client: ModelClient, server: Server, places: asyncio.Semaphore, topic: str, budget: int
) -> Run:
    question = (
        f"Explain step by step, in at least 400 words, how it works: {topic}. At the end say the word done."
    )
    heard = Heard()
    async with places:
        reply = await client.stream(
            asking(question, "You think at great length before you answer."),
            max_tokens=budget + 60,
            thinking=Thinking(budget),
            on_retry=heard.on_retry,
        )
    thought = await asyncio.to_thread(server.count, reply.thinking)
    return Run(budget, reply, thought, sum("thought passed" in words for words in heard.retries))
