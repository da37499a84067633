"""A thinking budget of 64 tokens, with every dialect: kept by the server where it can, by the client where it cannot."""

from __future__ import annotations

import asyncio

import pytest

from coder.model import messages
from coder.model.thinking import Thinking
from tests.wire.base import Recorded, Turn, WireServer, tokens
from tests.wire.dialect import Dialect
from tests.wire.dialects import DIALECTS
from tests.wire.support import ASK, TOOLS, Heard, talk

BUDGET = 64
AT_MOST = (
    BUDGET * 1.1 + 32
)  # NIM's ten per cent to reach a newline, and what is under way when the client hangs up
RAMBLE = "\n".join(f"Let me look at case {number} once more, from the other side." for number in range(60))
LONG = Turn(thinking=RAMBLE, text="Done.", calls=[("bash", {"command": "ls"})], pause=0.002)
KEEPS = [name for name, each in DIALECTS.items() if each.budget]
CONTINUES = ("vllm-0.20", "vllm", "nim", "sglang", "llama.cpp")
NO_WAY = "llama-cpp-python"
"""Its chat neither carries on from a closed thought nor switches thinking off."""
ABLE = [name for name in DIALECTS if name != NO_WAY]


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return DIALECTS[request.param]


def answered(server: WireServer) -> list[Recorded]:
    """The requests that the model began to answer."""
    return [each for each in server.chats if each.mode in ("thinks", "continued", "off")]


async def test_a_thought_within_its_budget_is_left_alone(dialect: Dialect) -> None:
    short = Turn(thinking="Only this.\nThen the answer.", text="Done.")
    with WireServer(dialect, [short], enforces=False) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS, thinking=Thinking(BUDGET))
    assert (reply.thinking, reply.text) == (short.thinking, "Done.")
    assert len(answered(server)) == 1


@pytest.mark.parametrize("name", KEEPS)
async def test_a_budget_that_the_server_keeps_takes_one_request(name: str) -> None:
    with WireServer(DIALECTS[name], [LONG]) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS, thinking=Thinking(BUDGET))
    (only,) = answered(server)
    assert 0 < only.thinking_tokens <= BUDGET * 1.1
    assert not only.left
    assert RAMBLE.startswith(reply.thinking)
    assert (reply.text, [call.name for call in reply.calls]) == ("Done.", ["bash"])


@pytest.mark.parametrize("name", ABLE)
async def test_a_budget_that_the_server_ignores_is_kept_by_the_client(name: str) -> None:
    heard = Heard()
    with WireServer(DIALECTS[name], [LONG], enforces=False) as server:
        async with talk(server) as model:
            reply = await model.stream(
                ASK, tools=TOOLS, thinking=Thinking(BUDGET), on_delta=heard.on_delta, on_retry=heard.on_retry
            )
            assert await asyncio.to_thread(server.wait, lambda: answered(server)[0].left)
    first, second = answered(server)
    assert (first.mode, second.mode) == ("thinks", "continued" if name in CONTINUES else "off")
    assert first.thinking_tokens < len(tokens(RAMBLE))
    assert 0 < len(tokens(reply.thinking)) <= AT_MOST
    assert RAMBLE.startswith(reply.thinking)
    assert (reply.text, [call.arguments for call in reply.calls]) == ("Done.", [{"command": "ls"}])
    assert heard.text("text").strip() == "Done."


async def test_a_server_that_cannot_stop_thinking_is_cut_all_the_same_and_the_cure_is_said() -> None:
    heard = Heard()
    with WireServer(DIALECTS[NO_WAY], [LONG], enforces=False) as server:
        async with talk(server) as model:
            reply = await model.stream(
                ASK, tools=TOOLS, thinking=Thinking(BUDGET), on_delta=heard.on_delta, on_retry=heard.on_retry
            )
    assert 0 < len(tokens(reply.thinking)) <= AT_MOST
    assert RAMBLE.startswith(reply.thinking)
    assert (reply.finish, reply.text, reply.calls) == ("budget", "", ())
    assert "serve the file with llama-server" in heard.retries[-1]


@pytest.mark.parametrize("name", ABLE)
async def test_what_follows_a_cut_is_history_like_any_other(name: str) -> None:
    with WireServer(DIALECTS[name], [LONG, Turn(text="All done.")], enforces=False) as server:
        async with talk(server) as model:
            first = await model.stream(ASK, tools=TOOLS, thinking=Thinking(BUDGET))
            history = [
                *ASK,
                messages.assistant(first, model.profile),
                messages.tool(first.calls[0].id, "a.py"),
            ]
            second = await model.stream(history, tools=TOOLS, thinking=Thinking(BUDGET))
    last = server.chats[-1].body
    assert (second.text, last["messages"]) == ("All done.", history)
    assert not {"continue_final_message", "add_generation_prompt"} & set(last)


@pytest.mark.parametrize("name", [name for name, each in DIALECTS.items() if len(each.running_count) == 2])
async def test_pieces_of_several_short_tokens_are_counted_by_the_server(name: str) -> None:
    """Speculative decoding sends several tokens a piece; by pieces or characters alone the cut would come far too late."""
    terse = Turn(thinking="a b c d e f g h i j k l m n o p\n" * 60, text="Done.", pause=0.005)
    with WireServer(DIALECTS[name], [terse], enforces=False, piece=4) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS, thinking=Thinking(BUDGET))
    assert reply.text == "Done."
    assert 0 < len(tokens(reply.thinking)) <= AT_MOST
    assert len(answered(server)) == 2


@pytest.mark.parametrize("name", ["vllm-0.20", "vllm", "tensorrt-llm"])
async def test_a_server_that_knows_no_budget_is_not_told_one_again(name: str) -> None:
    """vLLM without `--reasoning-config`, TensorRT-LLM before the field came."""
    heard = Heard()
    with WireServer(DIALECTS[name], [LONG, Turn(text="two")], refuses="thinking_token_budget") as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS, thinking=Thinking(BUDGET), on_retry=heard.on_retry)
            await model.stream(ASK, thinking=Thinking(BUDGET))
    assert any("thinking_token_budget" in words for words in heard.retries)
    assert (reply.text, len(tokens(reply.thinking)) <= AT_MOST) == ("Done.", True)
    assert "thinking_token_budget" not in server.chats[-1].body


async def test_thinking_that_is_off_brings_no_thought_where_the_server_can_be_told() -> None:
    for name in [each for each in DIALECTS if each != "llama-cpp-python"]:
        with WireServer(DIALECTS[name], [Turn(thinking=RAMBLE, text="Done.")]) as server:
            async with talk(server) as model:
                reply = await model.stream(ASK, tools=TOOLS, thinking=Thinking("off"))
        assert (name, reply.text, reply.thinking) == (name, "Done.", "")
