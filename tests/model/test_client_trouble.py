"""The client when the server is in trouble: what is repeated, what is changed, what is given up."""

import pytest

from coder.errors import ContextOverflow, ModelError, ModelRejected, ModelUnavailable, StreamBroken
from coder.model.client import ModelClient
from coder.model.retry import Retries
from coder.model.thinking import Thinking
from tests.model.support import ASK, GOOD, NEMOTRON, QUICK, Heard, client, endpoint
from tests.scripted_server import ScriptedServer, Turn


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
        Turn(body="data: " + "[" * 100_000 + "\n\n", content_type="text/event-stream"),
        Turn(body="", content_type="text/event-stream"),
        Turn(body={"object": "list", "data": []}),
        Turn(body={"error": {"message": "boom"}}),
    ],
    ids=lambda turn: repr(turn.body or turn.status)[:20],
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
        async with client(server, first=0.6) as model:
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
