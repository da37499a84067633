"""What the server is, and whether its answers come piece by piece."""

from __future__ import annotations

import pytest

from coder.doctor.server import server
from coder.doctor.stream import streaming
from coder.doctor.verdict import Verdict
from coder.model.backends import Backend
from tests.doctor.support import NEMOTRON, SMALL, Served, patient

CACHE_OFF = 'vllm:cache_config_info{block_size="4224",enable_prefix_caching="False"} 1.0\n'
CACHE_ON = 'vllm:cache_config_info{block_size="4224",enable_prefix_caching="True"} 1.0\n'
DRAFTS = "vllm:spec_decode_num_drafts_total 7.0\n"


async def test_the_server_is_named_with_its_version_model_and_context() -> None:
    async with patient(Served()) as ill:
        row = await server(ill)
    assert row.verdict is Verdict.OK
    assert row.seen.startswith(
        "vllm 0.32.0, model nemotron-3-super (profile nemotron-3-super), context 32768"
    )


async def test_a_server_of_unknown_kind_is_said_to_be_one() -> None:
    async with patient(Served(), SMALL, backend=Backend()) as ill:
        assert "a server of unknown kind" in (await server(ill)).seen


@pytest.mark.parametrize(
    ("version", "metrics", "flag"),
    [
        ("0.20.0", CACHE_OFF, "--enable-prefix-caching"),
        ("0.20.0", DRAFTS, "update vLLM to 0.32"),
        ("0.32.0", CACHE_ON + DRAFTS, "without --speculative-config"),
    ],
)
async def test_known_traps_of_a_version_are_told_with_their_way_out(
    version: str, metrics: str, flag: str
) -> None:
    async with patient(Served(), backend=Backend("vllm", version), pages={"/metrics": metrics}) as ill:
        row = await server(ill)
    assert row.verdict is Verdict.DEGRADED
    assert flag in row.fix
    assert row.cost


async def test_drafting_is_no_trap_where_budgets_hold_with_it() -> None:
    pages = {"/metrics": DRAFTS}
    async with patient(Served(), NEMOTRON, backend=Backend("vllm", "0.33.0"), pages=pages) as ill:
        assert (await server(ill)).verdict is Verdict.OK


async def test_pieces_that_come_one_by_one_are_healthy_and_give_the_rates() -> None:
    async with patient(Served()) as ill:
        row = await streaming(ill)
        assert row.verdict is Verdict.OK
        assert row.figures["pieces"] == 14
        assert ill.rate > 0
        assert ill.prefill > 0


async def test_an_answer_in_one_piece_means_that_a_proxy_buffers() -> None:
    async with patient(Served(pieces=10_000)) as ill:
        row = await streaming(ill)
    assert row.verdict is Verdict.DEGRADED
    assert "came at once" in row.seen
    assert "proxy_buffering off" in row.fix
