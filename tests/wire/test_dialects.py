"""The servers themselves, asked by plain HTTP: each does what its comments say, so that the other tests rest on something."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from typing import Any

import pytest

from tests.wire.base import Turn, WireServer, tokens
from tests.wire.dialect import Dialect
from tests.wire.dialects import DIALECTS

HELLO = [{"role": "user", "content": "hello"}]
THINKS = Turn(thinking="one two three\nfour five six seven\neight nine", text="done")
CALLS = Turn(calls=[("write", {"path": "a.py", "line": 3})])
CLOSED = "<think>\none two\n</think>\n"


def connection(server: WireServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def ask(server: WireServer, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any, dict[str, str]]:
    """Status, body (decoded where it is JSON) and headers of one request."""
    link = connection(server)
    try:
        link.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
        answer = link.getresponse()
        text, headers = answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        link.close()
    return answer.status, json.loads(text) if text[:1] in ("{", "[") else text, headers


def chat(server: WireServer, /, path: str = "/v1/chat/completions", **fields: Any) -> list[dict[str, Any]]:
    """The events of a streamed answer; the whole body of a refusal as the only one."""
    body = {"model": server.dialect.model, "messages": HELLO, "stream": True} | fields
    status, told, _ = ask(server, path, body)
    if status != 200:
        return [(told if isinstance(told, dict) else {}) | {"status": status}]
    events = [line[6:] for line in str(told).split("\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


def when_it_listens(server: WireServer) -> list[dict[str, Any]]:
    """The answer of a server that is loading or starts again, when it has done so."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError):
            if "status" not in (events := chat(server))[0]:
                return events
        time.sleep(0.02)
    raise TimeoutError


def deltas(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each["choices"][0]["delta"] for each in events if each["choices"]]


def joined(events: list[dict[str, Any]], key: str) -> str:
    return "".join(delta.get(key) or "" for delta in deltas(events))


def words(events: list[dict[str, Any]]) -> str:
    return json.dumps(events)


def ends_in(content: str, **more: Any) -> dict[str, Any]:
    return {"messages": [*HELLO, {"role": "assistant", "content": content}]} | more


# -- all of them -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return DIALECTS[request.param]


def test_each_lists_its_model_under_its_own_name(dialect: Dialect) -> None:
    with WireServer(dialect) as server:
        status, told, _ = ask(server, "/v1/models")
    assert (status, told["data"][0]["id"], told["data"][0]["owned_by"]) == (200, dialect.model, dialect.owner)


def test_a_stream_is_one_token_a_chunk_and_ends_with_its_reason(dialect: Dialect) -> None:
    with WireServer(dialect, [THINKS]) as server:
        events = chat(server)
    begin, *_ = deltas(events)
    assert begin["role"] == "assistant"
    assert [each["choices"][0].get("finish_reason") for each in events][-1] == "stop"
    assert server.chats[0].thinking_tokens == len(tokens(THINKS.thinking))
    assert server.chats[0].pieces >= len(tokens(THINKS.thinking)) + len(tokens(THINKS.text)) + 2


def test_a_turn_is_played_again_for_a_client_that_left(dialect: Dialect) -> None:
    slow = Turn(thinking="so long " * 100, text="done", pause=0.01)
    with WireServer(dialect, [slow]) as server:
        link = connection(server)
        body = {"model": dialect.model, "messages": HELLO, "stream": True}
        link.request("POST", "/v1/chat/completions", json.dumps(body))
        link.getresponse().read(400)
        link.close()
        assert server.wait(lambda: server.chats[0].left, 2.0)
        assert 0 < server.chats[0].thinking_tokens < 100
        assert server.state.played == 0


def test_a_loading_server_refuses_or_says_503_or_makes_wait(dialect: Dialect) -> None:
    with WireServer(dialect, [Turn(text="ok")]) as server:
        server.load(0.5)
        began = time.monotonic()
        try:
            first = chat(server)[0].get("status", 200)
        except ConnectionRefusedError:
            first = 0
        waited = time.monotonic() - began
        assert first == {"refuses": 0, "503": 503, "waits": 200}[dialect.loading]
        assert dialect.loading != "waits" or waited >= 0.45
        assert joined(when_it_listens(server), "content").endswith("ok")


# -- vLLM and NIM ----------------------------------------------------------------------------------------------------


def vllm(name: str = "vllm") -> Dialect:
    return DIALECTS[name]


def test_vllm_names_thoughts_reasoning_and_ignores_unknown_fields() -> None:
    with WireServer(vllm(), [THINKS]) as server:
        events = chat(server, guided_choice=["a"], nonsense=1)
    assert joined(events, "reasoning") == THINKS.thinking
    assert "reasoning_content" not in words(events)


@pytest.mark.parametrize("name", ["vllm", "vllm-0.20"])
def test_vllms_first_piece_of_a_call_has_no_arguments(name: str) -> None:
    with WireServer(vllm(name), [CALLS]) as server:
        pieces = [delta["tool_calls"][0] for delta in deltas(chat(server)) if "tool_calls" in delta]
    assert "arguments" not in pieces[0]["function"]
    assert all(set(piece) == {"index", "function"} for piece in pieces[1:])
    assert (
        json.loads("".join(piece["function"]["arguments"] for piece in pieces[1:]))
        == dict(CALLS.calls)["write"]
    )


def test_vllm_0_20_sends_a_parameter_as_one_piece_and_cuts_it_at_a_closing_tag() -> None:
    turn = Turn(calls=[("write", {"path": "a.py", "text": "x = '</parameter>'  # and so on"})])
    with WireServer(vllm("vllm-0.20"), [turn]) as server:
        pieces = [
            delta["tool_calls"][0]["function"] for delta in deltas(chat(server)) if "tool_calls" in delta
        ]
    assert [piece["arguments"] for piece in pieces[1:]] == ["{", '"path": "a.py"', ', "text": "x = \'"', "}"]


@pytest.mark.parametrize("name", ["vllm", "vllm-0.20", "nim"])
def test_vllm_continues_a_closed_thought_only_with_both_switches(name: str) -> None:
    with WireServer(vllm(name), [THINKS]) as server:
        both = {"continue_final_message": True, "add_generation_prompt": False}
        chat(server, **ends_in(CLOSED, **both))
        chat(server, **ends_in(CLOSED))
        chat(server, **ends_in("one two\n</think>\n", **both))
        clash = chat(server, **ends_in(CLOSED, continue_final_message=True, add_generation_prompt=True))
        half = chat(server, **ends_in(CLOSED, continue_final_message=True))
    assert [each.mode for each in server.chats] == ["continued", "thinks", "thinks", "refused", "refused"]
    assert "Cannot set both" in words(clash)
    assert half[0]["status"] == 400


def test_vllm_keeps_a_budget_or_ignores_it() -> None:
    for enforces, expected in ((True, 3), (False, len(tokens(THINKS.thinking)))):
        with WireServer(vllm(), [THINKS], enforces=enforces) as server:
            chat(server, thinking_token_budget=3)
        assert server.chats[0].thinking_tokens == expected


def test_vllm_counts_in_each_chunk_when_it_is_asked_to() -> None:
    with WireServer(vllm(), [THINKS], piece=3) as server:
        asked = chat(server, stream_options={"include_usage": True, "continuous_usage_stats": True})
        plain = chat(server, stream_options={"include_usage": True})
    counts = [each["usage"]["completion_tokens"] for each in asked]
    assert counts[:3] == [0, 3, 6]
    assert sum("usage" in each for each in plain) == 1
    assert asked[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] == len(tokens(THINKS.thinking))


def test_vllm_repeats_a_thought_without_an_answer_since_0_32() -> None:
    for name, expected in (("vllm", THINKS.thinking), ("vllm-0.20", "")):
        with WireServer(vllm(name), [Turn(thinking=THINKS.thinking)]) as server:
            events = chat(server, chat_template_kwargs={"force_nonempty_content": True})
        assert joined(events, "content") == expected


def test_vllms_overflow_tells_no_true_size_and_0_20_counts_the_wish_too() -> None:
    long = [{"role": "user", "content": "word " * 1_000}]
    with WireServer(vllm(), [THINKS], context=600) as server:
        told = chat(server, messages=long, max_tokens=100_000)
        fits = chat(server, max_tokens=100_000)
    assert "at least 601 input tokens" in words(told)
    assert "status" not in fits[0]
    with WireServer(vllm("vllm-0.20"), [THINKS], context=600) as server:
        assert "you requested 590 output tokens" in words(chat(server, max_tokens=590))


def test_vllms_tokenize_drops_reasoning_content_but_not_reasoning() -> None:
    def count(field: str) -> int:
        messages = [*HELLO, {"role": "assistant", "content": "", field: "thought " * 20}]
        return int(ask(server, "/tokenize", {"messages": messages})[1]["count"])

    with WireServer(vllm()) as server:
        assert count("reasoning") > count("reasoning_content") + 20


def test_a_dead_vllm_ends_the_stream_then_says_500_then_listens_no_more() -> None:
    with WireServer(vllm(), [Turn(text="a long answer", die_after=2)]) as server:
        assert "EngineCore" in words([chat(server)[-1]])
        assert chat(server)[0]["status"] == 500
        with pytest.raises(ConnectionRefusedError):
            chat(server)
        assert joined(when_it_listens(server), "content") == "a long answer"


def test_nim_knows_itself_and_grants_ten_per_cent_to_reach_a_newline() -> None:
    thought = "a b c d e f g h i j\nk l m n o p q r s t"  # the newline is token 11
    with WireServer(vllm("nim"), [Turn(thinking=thought)]) as server:
        assert ask(server, "/v1/metadata")[1]["modelInfo"]
        assert ask(server, "/v1/health/ready")[0] == 200
        chat(server, nvext={"max_thinking_tokens": 10})
        chat(server, nvext={"max_thinking_tokens": 8})
    assert [each.thinking_tokens for each in server.chats] == [11, 8]


# -- SGLang and TensorRT-LLM -----------------------------------------------------------------------------------------


def test_sglang_appends_to_a_prompt_that_has_opened_the_thought() -> None:
    with WireServer(DIALECTS["sglang"], [THINKS]) as server:
        chat(server, **ends_in("one two\n</think>\n", continue_final_message=True))
        chat(server, **ends_in(CLOSED, continue_final_message=True))
        chat(server, **ends_in("one two\n</think>\n"))
    assert [each.mode for each in server.chats] == ["continued", "thinks", "thinks"]


def test_sglang_sends_nulls_and_flat_errors() -> None:
    with WireServer(DIALECTS["sglang"], [CALLS], context=300) as server:
        events = chat(server)
        told = chat(server, messages=[{"role": "user", "content": "x" * 4_000}])
    assert all(
        set(delta) >= {"role", "content", "reasoning_content", "tool_calls"} for delta in deltas(events)
    )
    later = [delta["tool_calls"][0] for delta in deltas(events) if delta["tool_calls"]][1]
    assert (later["id"], later["function"]["name"]) == (None, None)
    assert (told[0]["object"], "error" in told[0]) == ("error", False)
    assert "longer than the model's context length (300 tokens)" in told[0]["message"]


def test_tensorrt_refuses_what_it_does_not_know_and_variables_nobody_reads() -> None:
    with WireServer(DIALECTS["tensorrt-llm"], [THINKS]) as server:
        unknown = chat(server, **ends_in(CLOSED, continue_final_message=True))
        unread = chat(server, chat_template_kwargs={"enable_thinking": True, "force_nonempty_content": True})
        fine = chat(server, thinking_token_budget=2, top_k=3, chat_template_kwargs={"enable_thinking": True})
    assert "continue_final_message" in unknown[0]["message"]
    assert "force_nonempty_content" in unread[0]["message"]
    assert "'enable_thinking'" not in unread[0]["message"]
    assert (unknown[0]["status"], unread[0]["status"]) == (400, 400)
    assert joined(fine, "reasoning_content") == "".join(tokens(THINKS.thinking)[:2])


def test_load_is_told_by_each_in_its_own_format() -> None:
    paths = {"vllm": "/metrics", "sglang": "/metrics", "tensorrt-llm": "/metrics", "llama.cpp": "/slots"}
    for name, path in paths.items():
        with WireServer(DIALECTS[name], [Turn(text="word " * 200, pause=0.01)]) as server:
            link = connection(server)
            body = {"model": server.dialect.model, "messages": HELLO, "stream": True}
            link.request("POST", "/v1/chat/completions", json.dumps(body))
            link.getresponse()
            told = ask(server, path)[1]
            link.close()
        busy = {
            "vllm": 'vllm:num_requests_running{engine="0"',
            "sglang": "sglang:num_running_reqs{",
            "tensorrt-llm": '"numActiveRequests": 1',
            "llama.cpp": '"is_processing": true',
        }[name]
        assert busy in (told if isinstance(told, str) else json.dumps(told))
        assert "} 1.0\n" in told if isinstance(told, str) else True


# -- llama.cpp and llama-cpp-python ----------------------------------------------------------------------------------


def test_llama_cpp_says_who_it_is_and_ignores_the_models_name() -> None:
    with WireServer(DIALECTS["llama.cpp"], [THINKS], context=4_096) as server:
        _, told, headers = ask(server, "/v1/models")
        events = chat(server, model="nope", nonsense=1)
    assert (headers["server"].split()[0], told["data"][0]["meta"]["n_ctx"]) == ("llama.cpp", 4_096)
    assert joined(events, "content") == "done"


def test_llama_cpp_closes_a_thought_when_the_content_is_to_be_continued() -> None:
    def go_on(content: str, thought: str, **more: Any) -> None:
        message = {"role": "assistant", "content": content, "reasoning_content": thought}
        chat(server, messages=[*HELLO, message], **more)

    with WireServer(DIALECTS["llama.cpp"], [THINKS]) as server:
        go_on("", "one two", continue_final_message="content", add_generation_prompt=False)
        go_on("The", "one two")
        go_on("", "one two")
        go_on("", "one two", continue_final_message=True, add_generation_prompt=False)
        go_on(CLOSED, "")
        go_on("", "one two", continue_final_message="content")
        calls = [{"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}]
        refused = chat(server, messages=[*HELLO, *calls])
    assert [each.mode for each in server.chats] == [*["continued"] * 2, *["thinks"] * 3, *["refused"] * 2]
    assert "contains tool calls" in words(refused)


def test_llama_cpp_times_each_token_when_asked_and_counts_a_chat() -> None:
    with WireServer(DIALECTS["llama.cpp"], [THINKS]) as server:
        events = chat(server, timings_per_token=True, stream_options={"include_usage": True})
        counted = ask(server, "/v1/chat/completions/input_tokens", {"messages": HELLO})[1]["input_tokens"]
        nothing = ask(server, "/tokenize", {"messages": HELLO})[1]
    assert [each["timings"]["predicted_n"] for each in events[:3]] == [0, 1, 2]
    assert counted == events[-1]["usage"]["prompt_tokens"] > 0
    assert nothing == {"tokens": []}


def test_llama_cpp_python_leaves_everything_in_the_content() -> None:
    turn = Turn(thinking="hm", text="On it.", calls=CALLS.calls)
    with WireServer(DIALECTS["llama-cpp-python"], [turn]) as server:
        events = chat(
            server, chat_template_kwargs={"enable_thinking": False}, stream_options={"include_usage": True}
        )
    content = joined(events, "content")
    assert content.startswith("hm\n</think>\nOn it.\n<tool_call>\n<function=write>")
    assert "usage" not in words(events)


def test_llama_cpp_python_continues_only_a_prompt_of_ones_own() -> None:
    with WireServer(DIALECTS["llama-cpp-python"], [Turn(thinking="hm", text="done")]) as server:
        events = chat(server, path="/v1/completions", prompt="…<think>\nhm\n</think>\n")
    assert "".join(each["choices"][0]["text"] for each in events) == "done"
    assert server.chats[0].mode == "continued"


# -- Ollama, LM Studio, LiteLLM --------------------------------------------------------------------------------------


def test_ollama_sends_a_call_whole_and_drops_what_does_not_fit() -> None:
    long = [{"role": "user", "content": "x" * 8_000}]
    with WireServer(DIALECTS["ollama"], [CALLS], context=500) as server:
        events = chat(server, messages=long, stream_options={"include_usage": True})
    (call,) = [delta["tool_calls"][0] for delta in deltas(events) if "tool_calls" in delta]
    assert json.loads(call["function"]["arguments"]) == dict(CALLS.calls)["write"]
    assert events[-1]["usage"]["prompt_tokens"] == 500


def test_ollama_switches_thinking_off_by_effort_alone() -> None:
    with WireServer(DIALECTS["ollama"], [THINKS]) as server:
        chat(server, chat_template_kwargs={"enable_thinking": False})
        chat(server, reasoning_effort="none")
        missing = chat(server, model="nope")
    assert [each.mode for each in server.chats] == ["thinks", "off", "refused"]
    assert (missing[0]["status"], "not found" in words(missing)) == (404, True)


def test_lm_studio_tells_the_loaded_context_and_an_overflow_only_in_the_stream() -> None:
    with WireServer(DIALECTS["lm-studio"], [THINKS], context=4_096) as server:
        entry = ask(server, "/api/v1/models")[1]["models"][0]
        events = chat(server, messages=[{"role": "user", "content": "x" * 20_000}])
    assert entry["loaded_instances"][0]["config"]["context_length"] == 4_096 < entry["max_context_length"]
    assert "n_ctx: 4096" in events[-1]["error"]["message"]


def test_litellm_signs_its_answers_and_has_a_choice_beside_the_usage() -> None:
    with WireServer(DIALECTS["litellm"], [THINKS], context=300) as server:
        _, _, headers = ask(server, "/v1/models")
        events = chat(server, stream_options={"include_usage": True})
        told = chat(server, messages=[{"role": "user", "content": "x" * 4_000}])
    assert headers["x-litellm-version"]
    assert (events[-1]["choices"], events[-1]["usage"]["prompt_tokens"] > 0) == (
        [{"index": 0, "delta": {}}],
        True,
    )
    assert (told[0]["error"]["code"], "ContextWindowExceededError" in words(told)) == ("400", True)
