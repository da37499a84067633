"""The client over real HTTP: healthy streams, every way to break, and how often it asks again."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from coder.errors import ContextOverflow, ModelError, ModelRejected, ModelUnavailable, StreamBroken
from coder.model import messages
from coder.model.backends import Backend
from coder.model.client import ModelClient
from coder.model.endpoint import Endpoint
from coder.model.messages import Delta
from coder.model.profile import Profile, load_profile
from coder.model.retry import Retries, Timeouts
from coder.model.thinking import Thinking
from tests.scripted_server import ScriptedServer, Turn

BASH = {"type": "function", "function": {"name": "bash", "parameters": {"type": "object", "properties": {}}}}
ASK = [messages.system("You are terse."), messages.user("List the files.")]
QUICK = Retries(busy=3, broken=2, loading=1.0, base=0.01, cap=0.05)
NEMOTRON = load_profile("nemotron-3-super")


class Heard:
    """What the listeners heard."""

    def __init__(self) -> None:
        self.deltas: list[Delta] = []
        self.retries: list[str] = []

    async def on_delta(self, delta: Delta) -> None:
        self.deltas.append(delta)

    async def on_retry(self, words: str) -> None:
        self.retries.append(words)

    def text(self, kind: str) -> str:
        return "".join(delta.text for delta in self.deltas if delta.kind == kind)


def endpoint(server: ScriptedServer, context_length: int | None = None) -> Endpoint:
    backend = Backend(server.kind)
    return Endpoint(server.base_url, server.model, backend=backend, context_length=context_length)


@asynccontextmanager
async def client(
    server: ScriptedServer, profile: Profile = NEMOTRON, retries: Retries = QUICK, **timeouts: float
) -> AsyncIterator[ModelClient]:
    made = ModelClient(endpoint(server), profile, retries=retries, timeouts=Timeouts(**timeouts))
    try:
        yield made
    finally:
        await made.close()


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
        "stream_options": {"include_usage": True},
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


async def test_the_answer_never_asks_for_more_than_the_context() -> None:
    with ScriptedServer([Turn(text="a")]) as server:
        model = ModelClient(endpoint(server, context_length=4096), NEMOTRON)
        await model.stream(ASK)
        await model.close()
    assert server.requests[0].body["max_tokens"] == 4096


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


# -- trouble ---------------------------------------------------------------------------------------------------------

GOOD = Turn(text="fine")


@pytest.mark.parametrize(
    "bad",
    [
        Turn(status=503, body="The request queue is full."),
        Turn(status=429, body="slow down", headers={"Retry-After": "0"}),
        Turn(status=502, body="<html>Bad gateway</html>", content_type="text/html"),
        Turn(status=500, body="Traceback"),
        Turn(text="half an answer", die_after=2),
        Turn(text="half an answer", finish="none"),
        Turn(calls=[("bash", {"command": "rm -rf /"})], die_after=3),
        Turn(text="half an answer", error_after=2),
        Turn(body="<html>hello</html>", content_type="text/html"),
        Turn(body="this is no JSON"),
        Turn(body="data: {broken\n\n", content_type="text/event-stream"),
        Turn(body=b"data: \xff\xfe\n\n", content_type="text/event-stream"),
        Turn(body="", content_type="text/event-stream"),
        Turn(body={"object": "list", "data": []}),
        Turn(body={"error": {"message": "boom"}}),
    ],
    ids=lambda turn: str(turn.body or turn.status)[:20],
)
async def test_a_passing_trouble_is_told_and_the_request_repeated(bad: Turn) -> None:
    heard = Heard()
    with ScriptedServer([bad, GOOD]) as server:
        async with client(server) as model:
            reply = await model.stream(ASK, on_retry=heard.on_retry)
    assert reply.text == "fine"
    assert reply.calls == ()
    assert len(heard.retries) == 1
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize(
    ("bad", "error", "requests"),
    [
        (Turn(status=503, body="full"), ModelUnavailable, 4),
        (Turn(status=500, body="boom"), ModelUnavailable, 3),
        (Turn(text="half", die_after=1), StreamBroken, 3),
        (Turn(body="no JSON"), StreamBroken, 3),
        (Turn(status=400, body="no"), ModelRejected, 1),
        (Turn(status=401), ModelRejected, 1),
        (Turn(status=404), ModelRejected, 1),
    ],
    ids=lambda value: str(getattr(value, "body", "")),
)
async def test_a_lasting_trouble_ends_after_a_few_tries(
    bad: Turn, error: type[ModelError], requests: int
) -> None:
    with ScriptedServer([bad], after="repeat") as server:
        async with client(server) as model:
            with pytest.raises(error):
                await model.stream(ASK)
    assert len(server.requests) == requests


async def test_the_servers_words_reach_the_user_clean() -> None:
    with ScriptedServer([Turn(status=400, body={"error": {"message": "bad\x1b[31m thing"}})]) as server:
        async with client(server) as model:
            with pytest.raises(ModelRejected, match=r"HTTP 400\): bad \[31m thing") as caught:
                await model.stream(ASK)
    assert caught.value.status == 400


async def test_a_loading_server_is_waited_for() -> None:
    heard = Heard()
    with ScriptedServer([GOOD], loading=3) as server:
        async with client(server) as model:
            assert (await model.stream(ASK, on_retry=heard.on_retry)).text == "fine"
    assert len(heard.retries) == 3
    assert "still loading" in heard.retries[0]


async def test_nobody_there_is_said_with_the_address() -> None:
    with ScriptedServer([]) as server:
        gone = endpoint(server)
    model = ModelClient(gone, NEMOTRON, retries=QUICK)
    with pytest.raises(ModelUnavailable, match="connection refused") as caught:
        await model.stream(ASK)
    await model.close()
    assert gone.base_url in str(caught.value)


@pytest.mark.parametrize("kind", ["vllm", "llama.cpp", "generic"])
async def test_a_prompt_that_does_not_fit_is_an_overflow_with_the_servers_limit(kind: str) -> None:
    with ScriptedServer([Turn(overflow=True)], kind=kind, context=4096) as server:
        async with client(server) as model:
            with pytest.raises(ContextOverflow) as caught:
                await model.stream(ASK)
    assert caught.value.limit == 4096
    assert len(server.requests) == 1


async def test_too_long_an_answer_is_asked_for_again_in_what_room_there_is() -> None:
    refusal = (
        "This model's maximum context length is 8192 tokens. However, you requested 32768 output tokens and your"
        " prompt contains at least 5000 input tokens, for a total of at least 37768 tokens."
    )
    with ScriptedServer([Turn(status=400, body={"error": {"message": refusal}}), GOOD]) as server:
        async with client(server) as model:
            assert (await model.stream(ASK)).text == "fine"
    assert server.requests[1].body["max_tokens"] == 8192 - 5000 - 8


@pytest.mark.parametrize(
    "field",
    ["stream_options", "top_p", "chat_template_kwargs", "force_nonempty_content", "thinking_token_budget"],
)
async def test_a_field_that_the_server_refuses_is_left_out_from_then_on(field: str) -> None:
    heard = Heard()
    turn = Turn(text="fine", refuse=field)
    with ScriptedServer([turn], after="repeat") as server:
        async with client(server) as model:
            for _ in range(2):
                reply = await model.stream(ASK, thinking=Thinking(1000), on_retry=heard.on_retry)
                assert reply.text == "fine"
    assert len(server.requests) == 3
    assert len(heard.retries) == 1
    assert field in heard.retries[0]
    assert field not in str(server.requests[-1].body)


async def test_reasoning_in_history_is_dropped_for_a_server_that_refuses_it() -> None:
    history = [*ASK, {"role": "assistant", "content": "a", "reasoning": "r", "reasoning_content": "r"}]
    turn = Turn(text="fine", refuse="reasoning_content")
    with ScriptedServer([turn], after="repeat") as server:
        async with client(server) as model:
            await model.stream(history)
    assert "reasoning_content" not in server.requests[1].body["messages"][2]
    assert "reasoning_content" in history[2]


async def test_a_silent_server_is_given_up_before_the_first_token() -> None:
    with ScriptedServer([Turn(text="late", delay=30.0), GOOD]) as server:
        async with client(server, first=0.1) as model:
            assert (await model.stream(ASK)).text == "fine"
    assert server.wait(lambda: server.requests[0].left)


async def test_a_server_that_falls_silent_in_the_middle_is_given_up_sooner() -> None:
    with ScriptedServer([Turn(text="some words here", hang_after=2)], after="repeat") as server:
        async with client(server, retries=Retries(broken=0), between=0.1) as model:
            with pytest.raises(StreamBroken, match="silent"):
                await model.stream(ASK)


async def test_a_slow_tool_argument_is_waited_for_longer_than_a_slow_word() -> None:
    call = Turn(calls=[("bash", {"command": "ls"})], pause=0.2, piece=100)
    words = Turn(text="some words", pause=0.2, piece=5)
    with ScriptedServer([call, words]) as server:
        async with client(server, retries=Retries(broken=0), between=0.1) as model:
            assert (await model.stream(ASK)).calls
            with pytest.raises(StreamBroken, match="silent"):
                await model.stream(ASK)


async def test_an_answer_that_is_complete_is_not_lost_to_a_connection_that_stays_open() -> None:
    with ScriptedServer([Turn(text="done", piece=100, hang_after=3, usage={})]) as server:
        async with client(server, between=0.1) as model:
            assert (await model.stream(ASK)).text == "done"


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


async def test_a_thought_over_its_budget_is_cut_and_the_answer_asked_for_without_thinking() -> None:
    heard = Heard()
    turns = [Turn(thinking=LONG_THOUGHT, pause=0.002), Turn(text="the answer")]
    with ScriptedServer(turns) as server:
        async with client(server) as model:
            reply = await model.stream(ASK, thinking=Thinking(100), on_retry=heard.on_retry)
        assert server.wait(lambda: server.requests[0].left)
    assert (reply.text, reply.finish) == ("the answer", "stop")
    assert 0 < len(reply.thinking) < len(LONG_THOUGHT)
    assert reply.thinking.endswith("other")
    assert 100 < reply.usage.thinking < 400
    assert "budget of 100" in heard.retries[0]
    first, second = (recorded.body for recorded in server.requests)
    assert first["thinking_token_budget"] == 100
    assert second["chat_template_kwargs"]["enable_thinking"] is False
    assert second["messages"] == first["messages"]


async def test_a_model_that_cannot_stop_thinking_gives_an_empty_reply_that_says_why() -> None:
    with ScriptedServer([Turn(thinking=LONG_THOUGHT)], after="repeat") as server:
        async with client(server) as model:
            reply = await model.stream(ASK, thinking=Thinking(50))
    assert (reply.text, reply.calls, reply.finish) == ("", (), "budget")
    assert len(server.requests) == 2


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
