"""Tool calls: who makes them out of the model's words, and whether long arguments come whole."""

from __future__ import annotations

import pytest

from coder.doctor.calls import closing_tags, tool_calls
from coder.doctor.verdict import Row, Verdict
from coder.model.backends import Backend
from tests.doctor.support import NEMOTRON, SMALL, VLLM, Served, patient


async def probed(served: Served, backend: Backend = VLLM) -> Row:
    async with patient(served, backend=backend) as ill:
        return await tool_calls(ill)


async def test_calls_that_the_server_makes_are_healthy() -> None:
    row = await probed(Served())
    assert (row.verdict, row.figures["parsed"]) == (Verdict.OK, True)
    assert "two at once: 2 calls, made by the server" in row.seen
    assert "other code" not in row.seen


@pytest.mark.parametrize(
    ("backend", "flag"),
    [
        ("vllm", "--enable-auto-tool-choice --tool-call-parser qwen3_coder"),
        ("sglang", "--tool-call-parser qwen3_coder"),
        ("tensorrt-llm", "--tool_parser qwen3_coder"),
        ("llama.cpp", "--jinja"),
    ],
)
async def test_calls_in_the_models_own_tags_want_a_parser(backend: str, flag: str) -> None:
    row = await probed(Served(calls="tags"), Backend(backend))
    assert row.verdict is Verdict.DEGRADED
    assert row.seen.startswith("no tool parser")
    assert flag in row.fix
    assert row.figures["parsed"] is False


async def test_calls_in_a_fence_are_the_models_slip_and_a_forced_one_clears_the_server() -> None:
    row = await probed(Served(calls="fence"))
    assert (row.verdict, row.figures["parsed"]) == (Verdict.OK, None)
    assert "came as text and was read by coder" in row.seen


async def test_where_no_call_can_be_forced_a_fence_tells_nothing_of_the_server() -> None:
    row = await probed(Served(calls="fence"), Backend("llama.cpp"))
    assert (row.verdict, row.figures["parsed"], row.fix) == (Verdict.NOT_TOLD, None, "")


async def test_a_vllm_without_a_parser_refuses_tools_and_the_flag_is_named() -> None:
    row = await probed(Served(calls="refused"))
    assert row.verdict is Verdict.BROKEN
    assert "--enable-auto-tool-choice --tool-call-parser qwen3_coder" in row.fix
    assert "the agent cannot work" in row.cost


async def test_the_family_decides_which_parser_is_named() -> None:
    async with patient(Served(calls="refused"), SMALL) as ill:
        assert "--tool-call-parser hermes" in (await tool_calls(ill)).fix


async def test_a_model_that_makes_no_call_tells_nothing_when_a_forced_one_comes() -> None:
    row = await probed(Served(calls="none"))
    assert row.verdict is Verdict.NOT_TOLD
    assert "a forced one was made" in row.seen
    assert row.figures["parsed"] is None


async def test_a_server_that_cannot_make_a_forced_call_is_at_fault() -> None:
    assert (await probed(Served(calls="none", forced="none"))).verdict is Verdict.BROKEN


async def test_on_other_servers_no_call_is_forced() -> None:
    row = await probed(Served(calls="none", forced="none"), Backend("llama.cpp"))
    assert row.verdict is Verdict.NOT_TOLD


async def test_arguments_that_cannot_be_read_are_told() -> None:
    row = await probed(Served(calls="damaged"))
    assert row.verdict is Verdict.DEGRADED
    assert "cannot be read" in row.seen


@pytest.mark.parametrize(
    ("tag", "verdict", "words"),
    [
        ("whole", Verdict.OK, "came whole"),
        ("cut", Verdict.DEGRADED, "was cut after"),
        ("other", Verdict.NOT_TOLD, "did not copy"),
    ],
)
async def test_a_closing_tag_inside_an_argument(tag: str, verdict: Verdict, words: str) -> None:
    async with patient(Served(tag=tag), NEMOTRON) as ill:
        row = await closing_tags(ill)
    assert row.verdict is verdict
    assert words in row.seen
    assert ("0.32" in row.fix) == (verdict is Verdict.DEGRADED)
