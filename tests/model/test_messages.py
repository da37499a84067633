"""Messages: byte-deterministic history that every server can read back."""

import json

from coder.model import messages
from coder.model.messages import Reply, ToolCall, Usage
from coder.model.profile import load_profile

NEMOTRON = load_profile("nemotron-3-super")
SMALL = load_profile("small-coder")


def reply(**changes: object) -> Reply:
    fields: dict[str, object] = {
        "text": "on it",
        "thinking": "look first",
        "calls": (ToolCall("c1", "bash", {"command": "ls", "a": 1}),),
        "finish": "tool_calls",
        "usage": Usage(),
        "seconds": 1.0,
        "first_token_seconds": 0.1,
    }
    return Reply(**(fields | changes))  # type: ignore[arg-type]  # the test's own fields


def test_the_models_turn_goes_back_with_its_calls_as_canonical_json() -> None:
    message = messages.assistant(reply(), NEMOTRON)
    assert message["content"] == "on it"
    assert message["tool_calls"] == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "bash", "arguments": '{"a": 1, "command": "ls"}'},
        }
    ]


def test_reasoning_goes_back_under_both_names_where_the_profile_keeps_it() -> None:
    kept = messages.assistant(reply(), NEMOTRON)
    assert kept["reasoning_content"] == kept["reasoning"] == "look first"
    dropped = messages.assistant(reply(), SMALL)
    assert "reasoning" not in dropped
    assert "reasoning_content" not in dropped


def test_a_call_that_could_not_be_read_is_history_that_every_template_can_parse() -> None:
    broken = reply(calls=(ToolCall("c1", "bash", {}, error="cut off"),))
    arguments = messages.assistant(broken, NEMOTRON)["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {}


def test_lone_surrogates_never_reach_the_wire() -> None:
    broken = reply(text="a\ud800", thinking="\udfff", calls=(ToolCall("c", "bash", {"k\ud800": "\ud800"}),))
    for message in (
        messages.assistant(broken, NEMOTRON),
        messages.tool("c", "\ud800"),
        messages.user("\ud800"),
    ):
        json.dumps(message, ensure_ascii=False).encode("utf-8")


def test_usage_adds_up() -> None:
    assert Usage(1, 2, 3, 4) + Usage(10, 20, 30, 40) == Usage(11, 22, 33, 44)
