"""One conversation with every dialect, through the public door: what works with one server works with all of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from coder.errors import ContextOverflow, ModelRejected, UsageError
from coder.model import messages
from coder.model.endpoint import connect
from coder.model.load import look
from coder.model.messages import Reply
from coder.model.window import Window
from tests.wire.base import Turn, WireServer
from tests.wire.dialect import Dialect
from tests.wire.dialects import DIALECTS
from tests.wire.llamacpp import as_xml
from tests.wire.support import ASK, TOOLS, Heard, talk
from tests.wire.vllm import arguments_read

THOUGHT = "The folder is small.\nListing it is enough."
ONE_MODEL = ("llama.cpp", "llama-cpp-python")
CODE = 'def cut(xml: str) -> str:\n    return xml.split("</parameter>")[0]  # not </function>\n'


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return DIALECTS[request.param]


# -- who is there ----------------------------------------------------------------------------------------------------


async def test_the_server_is_recognised_with_its_version_and_context(dialect: Dialect) -> None:
    with WireServer(dialect, context=65_536) as server:
        endpoint, profile = await connect(server.base_url, None, None)
    assert endpoint.backend.name == dialect.backend
    assert endpoint.backend.version == dialect.version
    assert endpoint.context_length == (65_536 if dialect.publishes_context else None)
    assert (endpoint.model, profile.name) == (dialect.model, "nemotron-3-super")


@pytest.mark.parametrize("name", [name for name in DIALECTS if name not in ONE_MODEL])
async def test_a_wrong_model_is_named_in_the_refusal(name: str) -> None:
    with WireServer(DIALECTS[name], [Turn(text="hello")]) as server:
        asked = _ask(server, "nope")
        with pytest.raises((UsageError, ModelRejected), match="nope"):
            await asked


@pytest.mark.parametrize("name", ONE_MODEL)
async def test_a_server_with_one_model_answers_to_any_name(name: str) -> None:
    with WireServer(DIALECTS[name], [Turn(text="hello")]) as server:
        reply = await _ask(server, "nope")
    assert reply.text.endswith("hello")


async def _ask(server: WireServer, name: str) -> Reply:
    async with talk(server, name) as model:
        return await model.stream(ASK)


# -- healthy answers -------------------------------------------------------------------------------------------------


async def test_text_arrives_as_it_was_written(dialect: Dialect) -> None:
    written = "Three files:\n\n- `a.py`\n- `ü.py`\n- `日本.py`"
    heard = Heard()
    with WireServer(dialect, [Turn(text=written)]) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS, on_delta=heard.on_delta)
    assert (reply.text, reply.thinking, reply.calls, reply.finish) == (written, "", (), "stop")
    assert heard.text("text").strip() == written
    assert reply.usage.prompt > 0
    assert reply.usage.completion > 0


async def test_thoughts_are_kept_apart_and_go_back_under_both_names(dialect: Dialect) -> None:
    heard = Heard()
    turns = [Turn(thinking=THOUGHT, text="On it.", calls=[("bash", {"command": "ls"})]), Turn(text="Done.")]
    with WireServer(dialect, turns) as server:
        async with talk(server) as model:
            first = await model.stream(ASK, tools=TOOLS, on_delta=heard.on_delta)
            history = [
                *ASK,
                messages.assistant(first, model.profile),
                messages.tool(first.calls[0].id, "a.py"),
            ]
            second = await model.stream(history, tools=TOOLS)
    assert (first.thinking, first.text, second.text) == (THOUGHT, "On it.", "Done.")
    assert heard.text("thinking").strip() == THOUGHT
    returned = server.chats[-1].body["messages"][2]
    assert returned["reasoning"] == returned["reasoning_content"] == THOUGHT


async def test_a_thought_without_an_answer_is_no_answer(dialect: Dialect) -> None:
    with WireServer(dialect, [Turn(thinking=THOUGHT)]) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS)
    assert (reply.text, reply.thinking, reply.calls) == ("", THOUGHT, ())


async def test_what_the_server_cached_is_counted_where_it_tells(dialect: Dialect) -> None:
    with WireServer(dialect, [Turn(text="one"), Turn(text="two")]) as server:
        async with talk(server) as model:
            await model.stream(ASK, tools=TOOLS)
            reply = await model.stream([*ASK, messages.user("And now?")], tools=TOOLS)
    told = dialect.name in ("vllm-0.20", "vllm", "nim", "sglang", "tensorrt-llm", "llama.cpp")
    assert (reply.usage.cached > 0) is told


async def test_the_server_counts_a_prompt_where_it_can(dialect: Dialect) -> None:
    with WireServer(dialect) as server:
        async with talk(server) as model:
            counted = await model.count(ASK, TOOLS)
        asked = server.count_prompt({"messages": ASK, "tools": TOOLS})
    assert counted == (asked if dialect.name in ("vllm-0.20", "vllm", "sglang", "llama.cpp") else None)


async def test_a_server_says_what_it_is_working_on_where_it_can(dialect: Dialect) -> None:
    begun = asyncio.Event()

    async def on_delta(_: object) -> None:
        begun.set()

    with WireServer(dialect, [Turn(text="word " * 1_000, pause=0.01)]) as server:
        async with talk(server) as model:
            idle = await look(model.endpoint)
            asking = asyncio.create_task(model.stream(ASK, on_delta=on_delta))
            await asyncio.wait_for(begun.wait(), 10)
            busy = await look(model.endpoint)
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
    tells = dialect.name in ("vllm-0.20", "vllm", "nim", "sglang", "tensorrt-llm", "llama.cpp")
    assert (idle.running, busy.running) == ((0, 1) if tells else (None, None))
    assert busy.alive


# -- calls -----------------------------------------------------------------------------------------------------------


async def test_a_call_comes_with_its_arguments(dialect: Dialect) -> None:
    heard = Heard()
    arguments = {"path": "src/a.py", "line": 12}
    with WireServer(dialect, [Turn(thinking=THOUGHT, calls=[("write", arguments)])]) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS, on_delta=heard.on_delta)
    assert [(call.name, call.arguments, call.error) for call in reply.calls] == [("write", arguments, "")]
    assert reply.calls[0].id
    assert reply.thinking == THOUGHT


async def test_two_calls_in_one_answer_stay_two(dialect: Dialect) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("bash", {"command": "ls"}),
        ("bash", {"command": "cat a.py"}),
    ]
    with WireServer(dialect, [Turn(text="Both.", calls=calls)]) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS)
    assert [(call.name, call.arguments) for call in reply.calls] == calls
    assert len({call.id for call in reply.calls}) == 2
    assert reply.text == "Both."


async def test_code_that_holds_a_closing_tag_survives_unless_the_server_cuts_it(dialect: Dialect) -> None:
    arguments = {"path": "cut.py", "command": CODE}
    with WireServer(dialect, [Turn(calls=[("write", arguments)])]) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS)
    expected = arguments_read(arguments) if dialect.name == "vllm-0.20" else arguments
    got = reply.calls[0].arguments
    assert (got["path"], got["command"].rstrip("\n")) == ("cut.py", expected["command"].rstrip("\n"))


@pytest.mark.parametrize(
    "leak",
    [
        as_xml("bash", {"command": "ls -la"}),
        '<tool_call>\n{"name": "bash", "arguments": {"command": "ls -la"}}\n</tool_call>',
        '```json\n{"name": "bash", "arguments": {"command": "ls -la"}}\n```',
    ],
    ids=["xml", "tagged json", "fenced json"],
)
async def test_a_call_that_leaked_into_the_text_is_recovered(dialect: Dialect, leak: str) -> None:
    with WireServer(dialect, [Turn(thinking=THOUGHT, text=leak)]) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS)
    assert [(call.name, call.arguments) for call in reply.calls] == [("bash", {"command": "ls -la"})]
    assert (reply.recovered, reply.text) == (1, "")


# -- trouble ---------------------------------------------------------------------------------------------------------


LONG = [*ASK, messages.user("one more line of a very long file\n" * 1_600)]


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "ollama"])
async def test_a_prompt_that_does_not_fit_is_an_overflow_with_its_limit(name: str) -> None:
    with WireServer(DIALECTS[name], [Turn(text="ok")], context=2_000) as server:
        async with talk(server) as model:
            with pytest.raises(ContextOverflow) as caught:
                await model.stream(LONG, tools=TOOLS)
    assert caught.value.limit == 2_000


async def test_a_prompt_that_was_cut_in_silence_is_seen_in_the_count() -> None:
    """Ollama drops the oldest messages and says nothing; only the tokens that it read tell."""
    window = Window()
    before, after = (len(json.dumps([asked, TOOLS])) for asked in (ASK, LONG))
    with WireServer(DIALECTS["ollama"], [Turn(text="ok")], context=2_000) as server:
        async with talk(server) as model:
            short = await model.stream(ASK, tools=TOOLS)
            window.told(before, short.usage.prompt)
            long = await model.stream(LONG, tools=TOOLS)
    assert (long.usage.prompt, window.lost(after, long.usage.prompt)) == (2_000, True)
    assert not window.lost(after, after // 4)


async def test_a_server_that_loads_its_model_is_waited_for(dialect: Dialect) -> None:
    heard = Heard()
    with WireServer(dialect, [Turn(text="here now")]) as server:
        async with talk(server) as model:
            server.load(0.3)
            started = time.monotonic()
            reply = await model.stream(ASK, on_retry=heard.on_retry)
    assert reply.text == "here now"
    assert time.monotonic() - started >= 0.25
    assert bool(heard.retries) is (dialect.loading != "waits")
    assert ("loading" in [each.mode for each in server.chats]) is (dialect.loading == "503")


async def test_a_server_that_dies_in_the_middle_is_asked_again_and_answers_once(dialect: Dialect) -> None:
    heard = Heard()
    turn = Turn(thinking=THOUGHT, text="On it.", calls=[("bash", {"command": "ls"})], die_after=12)
    with WireServer(dialect, [turn]) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS, on_retry=heard.on_retry)
    assert (reply.thinking, reply.text) == (THOUGHT, "On it.")
    assert [call.arguments for call in reply.calls] == [{"command": "ls"}]
    assert heard.retries
    assert ("dead" in [each.mode for each in server.chats]) is dialect.engine_dies


async def test_a_client_that_is_cancelled_leaves_the_server_at_once(dialect: Dialect) -> None:
    begun = asyncio.Event()

    async def on_delta(_: object) -> None:
        begun.set()

    with WireServer(dialect, [Turn(text="word " * 2_000, pause=0.01)]) as server:
        async with talk(server) as model:
            asking = asyncio.create_task(model.stream(ASK, on_delta=on_delta))
            await asyncio.wait_for(begun.wait(), 10)
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
            assert await asyncio.to_thread(server.wait, lambda: server.chats[-1].left, 1.0)
            assert server.state.running == 0


async def test_a_field_that_the_server_refuses_is_left_out_and_that_is_said(dialect: Dialect) -> None:
    heard = Heard()
    with WireServer(dialect, [Turn(text="one"), Turn(text="two")], refuses="top_p") as server:
        async with talk(server) as model:
            first = await model.stream(ASK, on_retry=heard.on_retry)
            asked = len(server.chats)
            second = await model.stream(ASK)
    assert (first.text, second.text) == ("one", "two")
    assert any("top_p" in words for words in heard.retries)
    assert "top_p" not in server.chats[-1].body
    assert len(server.chats) == asked + 1  # and it stays left out


async def test_the_wish_for_an_answer_fits_beside_the_prompt_from_the_start() -> None:
    with WireServer(DIALECTS["vllm-0.20"], [Turn(text="fits")], context=8_192) as server:
        async with talk(server) as model:
            reply = await model.stream(ASK, tools=TOOLS)
    (answered,) = server.chats
    assert reply.text == "fits"
    assert 4_000 < answered.body["max_tokens"] < 8_192


async def test_a_wish_that_does_not_fit_beside_the_prompt_is_lowered() -> None:
    """The context is not known here, so the wish is the profile's own."""
    with WireServer(DIALECTS["vllm-0.20"], [Turn(text="fits")], context=8_192) as server:
        async with talk(server) as model:
            model.endpoint = replace(model.endpoint, context_length=None)
            reply = await model.stream(ASK, tools=TOOLS)
    refused, answered = server.chats
    assert (reply.text, refused.mode) == ("fits", "refused")
    assert 0 < answered.body["max_tokens"] < refused.body["max_tokens"]
