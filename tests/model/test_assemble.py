"""The assembler: the same reply, however a server cuts, numbers or names its pieces."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.model.assemble import Assembler
from coder.model.messages import Reply, ToolCall, Usage, canonical_json
from tests.scripted_server import Turn, chunks

SCHEMAS = {"edit": {"type": "object", "properties": {"line": {"type": "integer"}}}}


def assembled(pieces: list[Any], **options: Any) -> Reply:
    ids = itertools.count(1)
    assembler = Assembler(new_id=lambda: f"new{next(ids)}")
    for piece in pieces:
        assembler.feed(piece)
    assembler.rest()
    return assembler.reply(known_tools={"bash", "edit"}.__contains__, schemas=SCHEMAS, **options)


def of(turn: Turn, **options: Any) -> Reply:
    request = {"messages": [], "stream_options": {"include_usage": True}}
    return assembled(list(chunks(turn, request, "m")), **options)


CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("bash", {"command": "ls"}),
    ("edit", {"line": 3}),
    ("bash", {}),
)


@pytest.mark.parametrize("shape", ["openai", "vllm", "no_index", "no_id", "same_index", "whole"])
@pytest.mark.parametrize("piece", [1, 4, 1000])
def test_native_calls_arrive_in_every_shape_that_servers_send(shape: str, piece: int) -> None:
    reply = of(Turn(text="on it", calls=CALLS, shape=shape, piece=piece))
    assert [(call.name, call.arguments, call.error) for call in reply.calls] == [
        ("bash", {"command": "ls"}, ""),
        ("edit", {"line": 3}, ""),
        ("bash", {}, ""),
    ]
    assert len({call.id for call in reply.calls}) == 3
    assert (reply.text, reply.finish, reply.recovered) == ("on it", "tool_calls", 0)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content", "inline"])
def test_reasoning_is_read_under_every_name(field: str) -> None:
    reply = of(Turn(text="yes", thinking="hm, so", thinking_field=field))
    assert (reply.thinking, reply.text) == ("hm, so", "yes")


def test_arguments_are_read_as_the_schema_says() -> None:
    assert of(Turn(calls=[("edit", {"line": "3"})])).calls[0].arguments == {"line": 3}


def test_a_call_cut_by_the_output_limit_is_not_executed() -> None:
    for finish in ("length", "tool_calls"):  # vLLM 0.20 says tool_calls whatever happened
        (call,) = of(Turn(calls=[("bash", '{"command": "rm -rf /tm')], finish=finish)).calls
        assert call.arguments == {}
        assert "cut off" in call.error


def test_a_call_left_in_the_text_is_recovered_with_a_new_id_and_typed_arguments() -> None:
    reply = of(Turn(text="First.\n<function=edit><parameter=line>3</parameter></function>"))
    assert reply.calls == (ToolCall("new1", "edit", {"line": 3}),)
    assert (reply.text, reply.recovered) == ("First.", 1)


def test_a_call_left_in_the_thought_is_taken_out_of_it() -> None:
    reply = of(Turn(thinking="I look.\n<function=edit><parameter=line>3</parameter></function>"))
    assert (reply.thinking, reply.recovered) == ("I look.", 1)


def test_native_calls_are_never_doubled_by_what_the_text_shows() -> None:
    text = '```json\n{"name": "bash", "arguments": {"command": "ls"}}\n```'
    reply = of(Turn(text=text, calls=[("bash", {"command": "ls"})]))
    assert (len(reply.calls), reply.text) == (1, text)


def test_a_thought_repeated_as_the_answer_is_no_answer() -> None:
    reply = of(Turn(text="so I think", thinking="so I think", finish="length"))
    assert (reply.text, reply.thinking) == ("", "so I think")


def test_usage_is_what_the_server_counted() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 7},
    }
    assert of(Turn(text="x", thinking="y", usage=usage)).usage == Usage(100, 64, 20, 7, cached_reported=True)


def test_llama_cpp_tells_its_cache_in_the_timings() -> None:
    pieces = [
        {"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 1}, "timings": {"cache_n": 29}}
    ]
    assert assembled(pieces).usage.cached == 29


def test_what_the_server_does_not_count_is_estimated_from_the_length() -> None:
    usage = of(Turn(text="a" * 40, thinking="b" * 20, usage={})).usage
    assert (usage.completion, usage.thinking) == (15, 5)


@pytest.mark.parametrize(
    "junk",
    [
        None,
        [],
        7,
        {},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": 5, "reasoning": [], "tool_calls": "x"}}]},
        {
            "choices": [
                {
                    "delta": {
                        "tool_calls": [None, {}, {"function": 3}, {"index": "a", "function": {"name": 1}}]
                    }
                }
            ]
        },
        {"choices": [{"delta": {}, "finish_reason": 3}]},
        {"usage": {"prompt_tokens": "many", "completion_tokens": -3, "prompt_tokens_details": 5}},
        {"usage": 5, "timings": []},
    ],
)
def test_nonsense_from_a_server_is_passed_over(junk: Any) -> None:
    good = list(chunks(Turn(text="fine"), {}, "m"))
    assert assembled([junk, *good, junk]).text == "fine"


TAGS = (
    "<think>|</think>|<function=bash>|<parameter=command>|</parameter>|</function>|<tool_call>|</tool_call>"
)
JSON = ['{"name": "bash", "arguments": {"command": "ls"}}', "```json\n", "\n```"]
WORDS = st.sampled_from([*TAGS.split("|"), *JSON, "\n", "hm ", "é", "ls"])
TEXTS = st.lists(WORDS, max_size=8).map("".join)
RAW = st.dictionaries(st.sampled_from(["command", "line"]), st.text(max_size=10)).map(canonical_json) | TEXTS


@given(
    TEXTS,
    TEXTS,
    st.lists(RAW, max_size=2),
    st.sampled_from([1, 2, 3, 7]),
    st.sampled_from(["openai", "vllm"]),
)
def test_any_cut_into_pieces_gives_the_same_reply(
    text: str, thinking: str, arguments: list[str], piece: int, shape: str
) -> None:
    def reply(size: int) -> Reply:
        calls = [("bash", raw) for raw in arguments]
        return of(
            Turn(text=text, thinking=thinking, calls=calls, piece=size, shape=shape), close_only_thought=True
        )

    assert reply(piece) == reply(100_000)
