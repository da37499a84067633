"""Thoughts: kept apart, turned off, and held to a budget."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from coder.doctor.patient import Patient
from coder.doctor.thoughts import budget, reasoning
from coder.doctor.verdict import Row, Verdict
from coder.model.backends import Backend
from tests.doctor.support import NEMOTRON, SMALL, VLLM, Served, patient


async def separated(served: Served, backend: Backend = VLLM) -> Row:
    async with patient(served, backend=backend) as ill:
        return await reasoning(ill)


async def held(served: Served, backend: Backend = VLLM, pages: dict[str, str] | None = None) -> Row:
    async with patient(served, backend=backend, pages=pages) as ill:
        return await budget(ill)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
async def test_thoughts_in_a_field_of_their_own_are_healthy(name: str) -> None:
    row = await separated(Served(thoughts=name))
    assert row.verdict is Verdict.OK
    assert (row.figures["field"], row.figures["off"], row.figures["repeated"]) == (name, True, False)


@pytest.mark.parametrize(
    ("backend", "flag"),
    [
        ("vllm", "--reasoning-parser nemotron_v3"),
        ("sglang", "--reasoning-parser nemotron_3"),
        ("tensorrt-llm", "--reasoning_parser nano-v3"),
        ("llama.cpp", "--reasoning-format auto --jinja"),
    ],
)
async def test_thoughts_inside_the_answer_want_a_reasoning_parser(backend: str, flag: str) -> None:
    row = await separated(Served(thoughts="inline"), Backend(backend))
    assert row.verdict is Verdict.DEGRADED
    assert flag in row.fix
    assert row.figures["separated"] is False


async def test_thinking_that_cannot_be_turned_off_is_told() -> None:
    row = await separated(Served(off=False))
    assert row.verdict is Verdict.DEGRADED
    assert "with thinking off too" in row.seen
    assert "enable_thinking" in row.fix


async def test_a_thought_repeated_as_the_answer_is_noticed() -> None:
    row = await separated(Served(repeats=True))
    assert row.verdict is Verdict.OK
    assert row.figures["repeated"] is True
    assert "repeated as the answer" in row.seen


async def test_a_model_that_did_not_think_tells_nothing() -> None:
    assert (await separated(Served(thoughts="none"))).verdict is Verdict.NOT_TOLD


@pytest.mark.parametrize("probe", [reasoning, budget])
async def test_a_profile_without_thoughts_asks_nothing(probe: Callable[[Patient], Awaitable[Row]]) -> None:
    served = Served()
    async with patient(served, SMALL) as ill:
        row = await probe(ill)
    assert row.verdict is Verdict.NOT_TOLD
    assert served.server
    assert served.server.requests == []


async def test_a_budget_that_the_server_holds_is_healthy() -> None:
    row = await held(Served())
    assert (row.verdict, row.figures) == (Verdict.OK, {"held": True, "thought": 48})


@pytest.mark.parametrize("kind", ["client", "refused"])
async def test_a_budget_that_only_coder_holds_costs_requests(kind: str) -> None:
    row = await held(Served(budget=kind))
    assert row.verdict is Verdict.DEGRADED
    assert "coder cut it and went on" in row.seen
    assert "--reasoning-config" in row.fix
    assert row.figures["held"] is False


async def test_drafting_in_an_old_vllm_is_named_as_the_reason() -> None:
    pages = {"/metrics": "vllm:spec_decode_num_drafts_total 7.0\n"}
    row = await held(Served(budget="client"), Backend("vllm", "0.20.0"), pages)
    assert "--speculative-config" in row.fix


async def test_a_budget_that_nobody_can_hold_is_broken() -> None:
    row = await held(Served(budget="nobody"))
    assert row.verdict is Verdict.BROKEN
    assert "without an answer" in row.cost


@pytest.mark.parametrize("served", [Served(budget="short"), Served(thoughts="none")])
async def test_a_model_that_stops_by_itself_tells_nothing_about_budgets(served: Served) -> None:
    row = await held(served)
    assert row.verdict is Verdict.NOT_TOLD
    assert "by itself" in row.seen


async def test_a_server_without_budgets_is_left_to_coder() -> None:
    row = await held(Served(budget="client"), Backend("ollama", "0.12"))
    assert row.verdict is Verdict.DEGRADED
    assert "knows no budget" in row.seen


async def test_a_refused_budget_is_remembered_as_refused() -> None:
    async with patient(Served(budget="refused"), NEMOTRON) as ill:
        await budget(ill)
        assert ill.refusals.fields == {"thinking_token_budget"}
