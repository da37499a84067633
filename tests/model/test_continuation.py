"""A closed thought at the end of a request, in the form that each server carries on from."""

from typing import Any

import pytest

from coder.model.backends import Backend
from coder.model.continuation import closed, continued

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "why?"}], "stream": True}


@pytest.mark.parametrize(
    ("thought", "kept"),
    [
        ("first line\nsecond line\nthird, cut", "first line\nsecond line"),
        ("first line\nsecond line\n", "first line\nsecond line"),
        ("only one line, cut", "only one line, cut"),
        ("one\nand a last line that is far longer", "one\nand a last line that is far longer"),
        ("  \n ", ""),
    ],
)
def test_a_thought_is_closed_at_the_end_of_a_line(thought: str, kept: str) -> None:
    assert closed(thought) == kept


@pytest.mark.parametrize(
    ("server", "message", "switches"),
    [
        (
            "vllm",
            {"role": "assistant", "content": "<think>\nso\n</think>\n"},
            {"continue_final_message": True, "add_generation_prompt": False},
        ),
        ("sglang", {"role": "assistant", "content": "so\n</think>\n"}, {"continue_final_message": True}),
        (
            "llama.cpp",
            {"role": "assistant", "content": "", "reasoning_content": "so"},
            {"continue_final_message": "content", "add_generation_prompt": False},
        ),
    ],
)
def test_each_server_gets_its_own_form(
    server: str, message: dict[str, Any], switches: dict[str, Any]
) -> None:
    sent = continued(BODY, "so", Backend(server))
    assert sent == BODY | {"messages": [*BODY["messages"], message]} | switches
    assert len(BODY["messages"]) == 1
