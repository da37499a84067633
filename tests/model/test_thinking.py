"""Thinking: what each server is told, and how a thought inside the content is told from the answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.errors import ConfigError
from coder.model.backends import Backend
from coder.model.profile import load_profile
from coder.model.thinking import Thinking, ThinkSplitter, request_fields, split_thinking

NEMOTRON = load_profile("nemotron-3-super")


@pytest.mark.parametrize(
    ("value", "mode"),
    [("off", "off"), ("low", "low"), ("full", "full"), ("2000", 2000), (2000, 2000), (0, "off")],
)
def test_thinking_is_read_from_words_and_numbers(value: str | int, mode: str | int) -> None:
    assert Thinking.parse(value).mode == mode


@pytest.mark.parametrize("value", ["", "lots", "-5", "1.5", "²"])
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(ConfigError):
        Thinking.parse(value)


@pytest.mark.parametrize(
    ("server", "fields"),
    [
        ("vllm", {"thinking_token_budget": 500}),
        ("tensorrt-llm", {"thinking_token_budget": 500}),
        ("llama.cpp", {"reasoning_budget_tokens": 500}),
        ("sglang", {"custom_params": {"thinking_budget": 500}}),
        ("nim", {"nvext": {"max_thinking_tokens": 500}}),
        ("ollama", {}),
    ],
)
def test_a_budget_goes_to_each_server_in_its_own_field(server: str, fields: dict[str, object]) -> None:
    sent = request_fields(Thinking(500), Backend(server), NEMOTRON)
    sent.pop("chat_template_kwargs", None)
    assert sent == fields


def test_modes_are_laid_over_the_profiles_template_arguments() -> None:
    def kwargs(mode: str) -> dict[str, object]:
        return dict(request_fields(Thinking(mode), Backend("vllm"), NEMOTRON)["chat_template_kwargs"])

    always = {"force_nonempty_content": True, "truncate_history_thinking": False}
    assert kwargs("full") == always | {"enable_thinking": True}
    assert kwargs("off") == always | {"enable_thinking": False}
    assert kwargs("low") == always | {"enable_thinking": True, "low_effort": True}


def test_a_model_without_thinking_is_told_nothing() -> None:
    assert request_fields(Thinking(500), Backend("vllm"), load_profile("small-coder")) == {}


@pytest.mark.parametrize(
    ("content", "thinking", "text"),
    [
        ("plain", "", "plain"),
        ("<think>\nhm\n</think>\n\nanswer", "hm", "answer"),
        ("  \n<think>hm</think>answer", "hm", "answer"),
        ("<think>never closed", "never closed", ""),
        ("<think>\n</think>\nanswer", "", "answer"),
        ("the tag <think>x</think> is shown", "", "the tag <think>x</think> is shown"),
        ("opened in the prompt\n</think>\nanswer", "opened in the prompt", "answer"),
        ("`</think>` closes a thought", "", "`</think>` closes a thought"),
    ],
)
def test_a_thought_is_separated_from_the_answer(content: str, thinking: str, text: str) -> None:
    assert split_thinking(content, close_only=True) == (thinking, text)


def test_a_lone_closing_tag_counts_only_for_models_that_think() -> None:
    content = "hm\n</think>\nanswer"
    assert split_thinking(content, close_only=False) == ("", content)


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "think", ">", "</", "a", "\n", " ", "b c"]), max_size=12
)


@given(PIECES, st.data())
def test_the_streaming_splitter_agrees_with_the_whole_however_the_content_is_cut(
    words: list[str], data: st.DataObject
) -> None:
    content = "".join(words)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(content)), max_size=8)))
    splitter = ThinkSplitter()
    pieces = [
        piece
        for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)
        for piece in splitter.feed(content[start:end])
    ] + splitter.rest()
    thinking, text = split_thinking(content, close_only=False)
    assert "".join(each for kind, each in pieces if kind == "thinking").strip() == thinking
    assert "".join(each for kind, each in pieces if kind == "text").lstrip("\n") == text.lstrip("\n")
