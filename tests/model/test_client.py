"""The client over real HTTP: healthy streams, leaving in the middle, and thoughts that go on too long."""

import asyncio
import time
from itertools import pairwise

import pytest

from coder.model import messages
from coder.model.client import ModelClient
from coder.model.messages import Delta
from coder.model.thinking import Thinking
from tests.model.support import ASK, BASH, GOOD, NEMOTRON, Heard, client, endpoint
from tests.scripted_server import ScriptedServer, Turn

# -- healthy ---------------------------------------------------------------------------------------------------------


async def test_a_reply_streams_in_pieces_and_comes_whole() -> None:
    heard = Heard()
    turn = Turn(thinking="look first", text="On it.", calls=[("bash", {"command": "ls"})], delay=0.05)
    with ScriptedServer([turn]) as server:
        async with client(server) as model:
            reply = await model.stream(ASK, tools=[BASH], on_delta=heard.on_delta)
    assert (reply.text, reply.thinking, reply.finish) == ("On it.", "look first", "tool_calls")
    assert (heard.text("text"), heard.text("thinking"), heard.text("call")) == (
        "On it.",
        "look first",
        'bash{"command": "ls"}',
    )
    assert reply.calls[0].arguments == {"command": "ls"}
    assert reply.usage.prompt > 0
    assert 0.05 <= reply.first_token_seconds <= reply.seconds


async def test_the_request_carries_what_the_profile_says() -> None:
    with ScriptedServer([Turn(text="a"), Turn(text="b")]) as server:
        async with client(server) as model:
            await model.stream(ASK, tools=[BASH])
            await model.stream(ASK, temperature=0.0, max_tokens=99, seed=7, thinking=Thinking("off"))
    first, second = (recorded.body for recorded in server.requests)
    assert first | {"messages": ...} == {
        "model": "scripted",
        "messages": ...,
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        "temperature": 1.0,
        "top_p": 0.95,
        "chat_template_kwargs": {
            "enable_thinking": True,
            "force_nonempty_content": True,
            "truncate_history_thinking": False,
        },
        "max_tokens": 32768,
        "tools": [BASH],
    }
    assert (second["temperature"], second["max_tokens"], second["seed"]) == (0.0, 99, 7)
    assert second["chat_template_kwargs"]["enable_thinking"] is False


async def test_the_answer_never_asks_for_more_than_the_context_has_left() -> None:
    with ScriptedServer([Turn(text="a")]) as server:
        model = ModelClient(endpoint(server, context_length=4096), NEMOTRON)
        await model.stream(ASK)
        await model.close()
    assert 3500 < server.requests[0].body["max_tokens"] < 4096


async def test_each_request_of_a_conversation_begins_with_the_one_before() -> None:
    turns = [Turn(thinking=f"t{n}", text=f"a{n}", calls=[("bash", {"b": n, "a": n})]) for n in range(3)]
    conversation = list(ASK)
    with ScriptedServer(turns) as server:
        async with client(server) as model:
            for _ in turns:
                reply = await model.stream(conversation, tools=[BASH])
                conversation.append(messages.assistant(reply, NEMOTRON))
                conversation.append(messages.tool(reply.calls[0].id, "ok"))
    sent = [recorded.body["messages"] for recorded in server.requests]
    for before, after in pairwise(sent):
        assert after[: len(before)] == before
    assert sent[-1][2]["reasoning"] == sent[-1][2]["reasoning_content"] == "t0"


async def test_a_server_that_does_not_stream_is_understood() -> None:
    answer = {
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5},
    }
    with ScriptedServer([Turn(body=answer)]) as server:
        async with client(server) as model:
            reply = await model.stream(ASK)
    assert (reply.text, reply.finish, reply.usage.prompt) == ("hi", "stop", 5)


async def test_a_server_that_counts_nothing_gets_an_estimate() -> None:
    with ScriptedServer([Turn(text="x" * 40, usage={})]) as server:
        async with client(server) as model:
            reply = await model.stream(ASK)
    assert reply.usage.prompt > 10
    assert reply.usage.completion == 10


async def test_calls_are_recovered_from_text_only_for_known_tools() -> None:
    leaked = '```json\n{"name": "run", "arguments": {"command": "ls"}}\n```'
    with ScriptedServer([Turn(text=leaked)] * 2) as server:
        async with client(server) as model:
            unknown = await model.stream(ASK, tools=[BASH])
            aliased = await model.stream(ASK, tools=[BASH], known_tools={"bash", "run"}.__contains__)
    assert (unknown.calls, unknown.text) == ((), leaked)
    assert (aliased.calls[0].name, aliased.recovered, aliased.text) == ("run", 1, "")


async def test_an_empty_answer_is_an_answer() -> None:
    with ScriptedServer([Turn()]) as server:
        async with client(server) as model:
            reply = await model.stream(ASK)
    assert (reply.text, reply.calls, reply.finish) == ("", (), "stop")


async def test_several_requests_share_one_client() -> None:
    with ScriptedServer([lambda body: Turn(text=body["messages"][0]["content"], delay=0.2)] * 5) as server:
        async with client(server) as model:
            started = time.monotonic()
            replies = await asyncio.gather(*(model.stream([messages.user(str(n))]) for n in range(5)))
    assert [reply.text for reply in replies] == ["0", "1", "2", "3", "4"]
    assert time.monotonic() - started < 5 * 0.2 + 2.0


# -- leaving ---------------------------------------------------------------------------------------------------------


async def test_cancelling_closes_the_connection_and_the_server_notices() -> None:
    started = asyncio.Event()

    async def on_delta(_: Delta) -> None:
        started.set()

    with ScriptedServer([Turn(text="many words " * 100, pause=0.02), GOOD]) as server:
        async with client(server) as model:
            running = asyncio.create_task(model.stream(ASK, on_delta=on_delta))
            await asyncio.wait_for(started.wait(), 5)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert server.wait(lambda: server.requests[0].left)
            assert (await model.stream(ASK)).text == "fine"


async def test_a_listener_that_raises_ends_the_request_with_its_own_error() -> None:
    async def on_delta(_: Delta) -> None:
        raise LookupError("enough")

    with ScriptedServer([Turn(text="many words " * 100, pause=0.02)]) as server:
        async with client(server) as model:
            with pytest.raises(LookupError, match="enough"):
                await model.stream(ASK, on_delta=on_delta)
            assert server.wait(lambda: server.requests[0].left)


# -- thinking --------------------------------------------------------------------------------------------------------

LONG_THOUGHT = "one thought after the other\n" * 200


async def test_a_thought_over_its_budget_is_closed_at_a_line_and_the_answer_carries_on_from_it() -> None:
    heard = Heard()
    turns = [Turn(thinking=LONG_THOUGHT, pause=0.002), Turn(text="the answer")]
    with ScriptedServer(turns) as server:
        async with client(server) as model:
            reply = await model.stream(ASK, thinking=Thinking(100), on_retry=heard.on_retry)
        assert server.wait(lambda: server.requests[0].left)
    assert (reply.text, reply.finish, reply.allowed, reply.cuts) == ("the answer", "stop", 100, 1)
    assert 0 < len(reply.thinking) < len(LONG_THOUGHT)
    assert reply.thinking.endswith("other")
    assert 100 < reply.usage.thinking <= 110 + 32
    assert "passed 100 tokens" in heard.retries[0]
    first, second = (recorded.body for recorded in server.requests)
    assert first["thinking_token_budget"] == 100
    assert (second["continue_final_message"], second["add_generation_prompt"]) == (True, False)
    closed = {"role": "assistant", "content": f"<think>\n{reply.thinking}\n</think>\n"}
    assert second["messages"] == [*first["messages"], closed]
    assert "thinking_token_budget" not in second


@pytest.mark.parametrize(
    "after",
    [Turn(status=400, body="continue_final_message is not supported"), Turn(thinking=LONG_THOUGHT)],
    ids=["refused", "it thinks again"],
)
async def test_a_server_that_cannot_carry_on_is_asked_with_thinking_off_from_then_on(after: Turn) -> None:
    long, answer = Turn(thinking=LONG_THOUGHT), Turn(text="the answer")
    with ScriptedServer([long, after, answer, long, answer]) as server:
        async with client(server) as model:
            replies = [await model.stream(ASK, thinking=Thinking(100)) for _ in range(2)]
    assert [reply.text for reply in replies] == ["the answer"] * 2
    assert all(reply.thinking.endswith("other") for reply in replies)
    for number in (2, 4):
        assert server.requests[number].body["chat_template_kwargs"]["enable_thinking"] is False
        assert server.requests[number].body["messages"] == ASK


async def test_a_thought_that_fills_the_whole_answer_is_carried_on_from_too() -> None:
    with ScriptedServer([Turn(thinking="never ending", finish="length"), Turn(text="the answer")]) as server:
        async with client(server) as model:
            reply = await model.stream(ASK)
    assert (reply.thinking, reply.text, reply.allowed, reply.cuts) == ("never ending", "the answer", None, 1)


async def test_a_model_that_cannot_stop_thinking_gives_an_empty_reply_that_says_why() -> None:
    with ScriptedServer([Turn(thinking=LONG_THOUGHT)], after="repeat") as server:
        async with client(server) as model:
            reply = await model.stream(ASK, thinking=Thinking(50))
    assert (reply.text, reply.calls, reply.finish) == ("", (), "budget")
    assert len(reply.thinking) // 4 <= 55 + 32
    assert len(server.requests) == 3


async def test_the_servers_own_count_decides_where_it_gives_one() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 500}
    with ScriptedServer(
        [Turn(thinking="four tokens at most " * 3, each_usage=usage), Turn(text="a")]
    ) as server:
        async with client(server) as model:
            reply = await model.stream(ASK, thinking=Thinking(100))
    assert (reply.cuts, reply.usage.thinking) == (1, 500)


async def test_a_thought_that_the_server_leaves_in_the_content_is_known_from_the_second_time_on() -> None:
    heard = Heard()
    turns = [Turn(text="a thought\n</think>\nan answer"), Turn(text="words " * 500), Turn(text="the end")]
    with ScriptedServer(turns) as server:
        async with client(server) as model:
            first = await model.stream(ASK)
            second = await model.stream(ASK, thinking=Thinking(50), on_delta=heard.on_delta)
    assert (first.thinking, first.text) == ("a thought", "an answer")
    assert (second.cuts, second.text) == (1, "the end")
    assert heard.text("thinking").startswith("words words")


@pytest.mark.parametrize("thinking", [Thinking("full"), Thinking(5000)])
async def test_a_thought_within_its_budget_is_left_alone(thinking: Thinking) -> None:
    with ScriptedServer([Turn(thinking=LONG_THOUGHT, text="the answer")]) as server:
        async with client(server) as model:
            reply = await model.stream(ASK, thinking=thinking)
    assert (reply.thinking, reply.text) == (LONG_THOUGHT, "the answer")


async def test_a_long_answer_after_a_long_thought_is_never_cut() -> None:
    turn = Turn(thinking="x" * 400, text="y" * 4000)
    with ScriptedServer([turn]) as server:
        async with client(server) as model:
            reply = await model.stream(ASK, thinking=Thinking(100))
    assert (len(reply.thinking), len(reply.text)) == (400, 4000)
