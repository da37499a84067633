"""The prefix cache: whether it works, whether it is told, and whether it keeps answers as they are."""

from __future__ import annotations

import pytest

from coder.doctor.cache import canary, prefix_cache
from coder.doctor.verdict import Row, Verdict
from coder.model.backends import Backend
from tests.doctor.support import NEMOTRON, SMALL, VLLM, Served, patient

CONFIG = 'vllm:cache_config_info{{block_size="{block}",enable_prefix_caching="{on}"}} 1.0\n'


async def cached(served: Served, backend: Backend = VLLM, pages: dict[str, str] | None = None) -> Row:
    async with patient(served, SMALL, backend=backend, pages=pages) as ill:
        return await prefix_cache(ill)


async def test_a_cache_that_works_and_is_reported_is_healthy_and_gives_the_prefill_rate() -> None:
    async with patient(Served(), SMALL) as ill:
        row = await prefix_cache(ill)
        assert row.verdict is Verdict.OK
        assert row.figures["reported"] is True
        assert row.figures["prefill_rate"]
        assert ill.prefill > 2000
    assert row.seen.startswith(f"{row.figures['cached']} of {row.figures['prompt']} tokens")


async def test_each_visit_reads_a_prompt_that_is_new_to_the_cache() -> None:
    served = Served()
    async with patient(served, SMALL) as ill:
        await prefix_cache(ill)
        await prefix_cache(ill)
    assert list(served.seen.values()) == [2, 2]


async def test_hits_that_only_the_servers_figures_show_are_not_reported() -> None:
    row = await cached(Served(cache="hits"))
    assert row.verdict is Verdict.DEGRADED
    assert "not reported" in row.seen
    assert "--enable-prompt-tokens-details" in row.fix


@pytest.mark.parametrize(
    ("backend", "flag"),
    [
        ("vllm", "--enable-prefix-caching (with MTP also --mamba-cache-mode align)"),
        ("sglang", "--disable-radix-cache"),
        ("tensorrt-llm", "enable_block_reuse: true"),
        ("llama.cpp", "--no-cache-prompt"),
    ],
)
async def test_without_a_cache_each_turn_reads_everything_again(backend: str, flag: str) -> None:
    row = await cached(Served(cache="off"), Backend(backend))
    assert row.verdict is Verdict.BROKEN
    assert flag in row.fix
    assert "whole conversation" in row.cost


async def test_a_hybrid_models_large_blocks_want_a_longer_prompt() -> None:
    served = Served(context=200_000)
    pages = {"/metrics": CONFIG.format(block=8320, on=True)}
    async with patient(served, NEMOTRON, pages=pages) as ill:
        row = await prefix_cache(ill)
    assert isinstance(row.figures["prompt"], int)
    assert row.figures["prompt"] > 8320


async def test_a_prompt_shorter_than_one_block_tells_nothing() -> None:
    row = await cached(Served(cache="off"), pages={"/metrics": CONFIG.format(block=60_000, on=True)})
    assert row.verdict is Verdict.NOT_TOLD
    assert "too short to tell" in row.seen


async def test_a_cache_that_is_off_by_its_own_word_is_off_however_long_the_block() -> None:
    row = await cached(Served(cache="off"), pages={"/metrics": CONFIG.format(block=60_000, on=False)})
    assert row.verdict is Verdict.BROKEN


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("reported", Verdict.OK), ("corrupt", Verdict.BROKEN), ("weak", Verdict.NOT_TOLD)],
)
async def test_the_canary_tells_a_cache_that_changes_answers_from_a_weak_model(
    kind: str, verdict: Verdict
) -> None:
    async with patient(Served(cache=kind), NEMOTRON) as ill:
        row = await canary(ill)
    assert row.verdict is verdict
    assert ("--no-enable-prefix-caching, or without --speculative-config" in row.fix) == (kind == "corrupt")


async def test_a_slow_reader_gets_a_short_prompt() -> None:
    served = Served()
    async with patient(served, SMALL) as ill:
        ill.prefill = 50.0
        row = await prefix_cache(ill)
    assert isinstance(row.figures["prompt"], int)
    assert row.figures["prompt"] < 700
