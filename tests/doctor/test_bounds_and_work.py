"""The context, schemas, leaving in the middle, and speed."""

from __future__ import annotations

import pytest

from coder.doctor.bounds import context, schema
from coder.doctor.verdict import Row, Verdict
from coder.doctor.work import cancellation, speed
from coder.model.backends import Backend
from coder.model.profile import Profile
from tests.doctor.support import NEMOTRON, SMALL, VLLM, Served, patient


async def bounded(served: Served, profile: Profile = NEMOTRON, backend: Backend = VLLM) -> Row:
    async with patient(served, profile, backend=backend) as ill:
        return await context(ill)


async def test_a_prompt_longer_than_the_context_is_refused() -> None:
    row = await bounded(Served())
    assert row.verdict is Verdict.OK
    assert row.seen == "32768 tokens; a longer prompt is refused"


async def test_a_very_long_context_is_believed_and_not_filled() -> None:
    served = Served(context=1_000_000)
    assert (await bounded(served)).verdict is Verdict.OK
    assert served.server
    assert served.server.requests == []


@pytest.mark.parametrize(
    ("tokens", "profile", "verdict"),
    [
        (12_000, NEMOTRON, Verdict.DEGRADED),
        (4_096, NEMOTRON, Verdict.BROKEN),
        (12_000, SMALL, Verdict.OK),
        (6_000, SMALL, Verdict.DEGRADED),
        (2_048, SMALL, Verdict.BROKEN),
    ],
)
async def test_a_small_context_is_told_by_what_the_strategy_wants(
    tokens: int, profile: Profile, verdict: Verdict
) -> None:
    row = await bounded(Served(context=tokens), profile)
    assert row.verdict is verdict
    assert ("--max-model-len" in row.fix) == (verdict is not Verdict.OK)


async def test_a_server_that_cuts_prompts_silently_is_broken() -> None:
    row = await bounded(Served(context=4096, overflow="cut"), NEMOTRON, Backend("ollama", "0.12"))
    assert row.verdict is Verdict.BROKEN
    assert "of a longer prompt 4096 tokens were read" in row.seen
    assert "OLLAMA_CONTEXT_LENGTH" in row.fix


async def test_a_refusal_in_unknown_words_is_degraded() -> None:
    row = await bounded(Served(overflow="unknown"))
    assert row.verdict is Verdict.DEGRADED
    assert "too many letters" in row.seen


@pytest.mark.parametrize("kind", ["prose", "refused"])
async def test_an_answer_that_does_not_keep_to_its_schema_is_degraded(kind: str) -> None:
    async with patient(Served(schema=kind)) as ill:
        row = await schema(ill)
    assert row.verdict is Verdict.DEGRADED
    assert row.fix


async def test_an_answer_that_keeps_to_its_schema_is_healthy() -> None:
    async with patient(Served()) as ill:
        row = await schema(ill)
    assert (row.verdict, row.figures) == (Verdict.OK, {"conforms": True})


async def test_a_server_that_stops_when_the_client_leaves_is_healthy() -> None:
    served = Served()
    async with patient(served) as ill:
        row = await cancellation(ill)
    assert row.verdict is Verdict.OK
    assert served.server
    assert served.server.requests[0].left


async def test_a_server_that_works_on_for_nobody_is_degraded() -> None:
    served = Served(keeps_working=True)
    async with patient(served) as ill:
        row = await cancellation(ill)
    assert row.verdict is Verdict.DEGRADED
    assert "still works on its request" in row.seen


async def test_without_figures_of_the_server_nothing_is_told() -> None:
    served = Served()
    async with patient(served, pages={}) as ill:
        row = await cancellation(ill)
    assert row.verdict is Verdict.NOT_TOLD
    assert served.server
    assert served.server.requests == []


@pytest.mark.parametrize(("rate", "requests"), [(100.0, 9), (5.0, 5)], ids=["fast", "slow"])
async def test_the_speed_is_measured_alone_and_with_others(rate: float, requests: int) -> None:
    """A slow server is asked for less."""
    served = Served()
    async with patient(served) as ill:
        ill.rate = rate
        row = await speed(ill)
    assert row.verdict is Verdict.OK
    assert isinstance(row.figures["side_by_side"], int)
    assert row.figures["side_by_side"] > 1
    assert row.figures["total_tokens_per_second"]
    assert served.server
    assert len(served.server.requests) == requests


async def test_a_slow_server_gets_fewer_and_shorter_requests() -> None:
    served = Served()
    async with patient(served) as ill:
        ill.rate = 3.0
        row = await speed(ill)
    assert row.figures["together"] == 4
    assert served.server
    assert {request.body["max_tokens"] for request in served.server.requests} == {12}


async def test_a_server_with_one_slot_is_said_to_have_one() -> None:
    async with patient(Served(slots=1), backend=Backend("llama.cpp", "b11434")) as ill:
        row = await speed(ill)
    assert row.verdict is Verdict.DEGRADED
    assert "1 side by side" in row.seen
    assert "-np 4" in row.fix
