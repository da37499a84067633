"""Calls that a server left in the text: every dialect that models write, and all the text that is no call."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.model.messages import canonical_json
from coder.model.toolcalls.find import FoundCall, extract

TOOLS = {"bash", "str_replace_editor", "submit"}
LS = FoundCall("bash", {"command": "ls -la"})


def known(name: str) -> bool:
    return name in TOOLS


def calls(text: str, thinking: str = "", *, cut: bool = False) -> list[FoundCall]:
    return list(extract(text, thinking, known, cut=cut)[1])


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "bash", "arguments": {"command": "ls -la"}}\n</tool_call>',
        '<tool_call>{"name": "bash", "arguments": {"command": "ls -la"}}',
        "<tool_call>{'name': 'bash', 'arguments': {'command': 'ls -la'}}</tool_call>",
        '<tool_call>{"name": "bash", "arguments": {"command": "ls -la",}}</tool_call>',
        "<tool_call>\n<function=bash>\n<parameter=command>\nls -la\n</parameter>\n</function>\n</tool_call>",
        "<function=bash>\n<parameter=command>\nls -la\n</parameter>\n</function>",
        "<function=bash><parameter=command>ls -la</parameter>",
        "<function=bash>\n<parameter=command>\nls -la\n</function>",
        "<tool_call>\n<function=bash>\n<parameter=command>\nls -la",
        '<function=bash>{"command": "ls -la"}</function>',
        '```json\n{"name": "bash", "arguments": {"command": "ls -la"}}\n```',
        '```\n{"name": "bash", "parameters": {"command": "ls -la"}}\n```\n',
        '```json\n{"name": "bash", "arguments": {"command": "ls -la"}}',
        '{"name": "bash", "arguments": {"command": "ls -la"}}',
        '{\n  "tool": "bash",\n  "args": {\n    "command": "ls -la"\n  }\n}',
        '{"function": {"name": "bash", "arguments": {"command": "ls -la"}}}',
        "{'function': {'name': 'bash', 'arguments': {'command': 'ls -la'}}}",
        '{"function": "bash", "arguments": "{\\"command\\": \\"ls -la\\"}"}',
        '[{"name": "bash", "arguments": {"command": "ls -la"}}]',
        '{"tool_calls": [{"type": "function", "function": {"name": "bash", "arguments": {"command": "ls -la"}}}]}',
        '[TOOL_CALLS][{"name": "bash", "arguments": {"command": "ls -la"}}]',
        '[TOOL_CALLS]bash{"command": "ls -la"}',
        '[TOOL_CALLS]bash[ARGS]{"command": "ls -la"}',
        "```xml\n<function=bash>\n<parameter=command>\nls -la\n</parameter>\n</function>\n```",
    ],
)
def test_a_leaked_call_is_found_in_every_dialect_with_and_without_words_before_it(text: str) -> None:
    assert calls(text) == [LS]
    remaining, found = extract(f"Let me look.\n\n{text}", "", known)
    assert (remaining, found) == ("Let me look.", (LS,))


@pytest.mark.parametrize(
    "text",
    [
        "I will call bash with ls.",
        '<tool_call>{"name": "rm_everything", "arguments": {}}</tool_call>',
        "<function=unknown><parameter=a>b</parameter></function>",
        'The form is `<tool_call>{"name": "bash", "arguments": {"command": "ls"}}</tool_call>`.',
        "Models write\n```\n<function=bash><parameter=command>ls</parameter></function>\n```\nto call a tool.",
        "Start with <function=bash> and then the parameters.",
        'Example:\n```json\n{"name": "bash", "arguments": {"command": "ls"}}\n```\nThat is how it looks.',
        '{"name": "bash", "arguments": {"command": "ls"}} would list the files',
        '```json\n{"name": "bash", "version": "5.2"}\n```',
        '```json\n{"name": "bash", "arguments": ["ls"]}\n```',
        '```json\n{"name": "left-pad", "arguments": {"a": 1}}\n```',
        '[{"name": "bash", "arguments": {"command": "ls"}}, {"name": "other"}]',
        'return {"name": "bash", "arguments": {"command": "ls"}}',
        "<tool_call>",
        "[TOOL_CALLS]",
    ],
)
def test_text_that_merely_shows_a_call_stays_text(text: str) -> None:
    assert extract(text, "", known) == (text, ())


def test_aliases_count_when_the_caller_knows_them() -> None:
    text = '{"name": "execute_bash", "arguments": {"command": "ls"}}'
    assert calls(text) == []
    assert extract(text, "", {"execute_bash"}.__contains__)[1]


def test_words_round_a_call_stay_apart_and_a_call_at_the_end_of_a_line_counts() -> None:
    text = "I look: <function=bash><parameter=command>ls -la</parameter></function>\n  Then I edit."
    assert extract(text, "", known) == ("I look: \n  Then I edit.", (LS,))


def test_several_calls_keep_their_order() -> None:
    one, two = (f"<function=bash><parameter=command>{name}</parameter></function>" for name in "ab")
    assert [call.arguments["command"] for call in calls(f"{one}\n{two}")] == ["a", "b"]
    bodies = (canonical_json({"name": "bash", "arguments": {"command": name}}) for name in "ab")
    fences = "\n".join(f"```json\n{body}\n```" for body in bodies)
    assert [call.arguments["command"] for call in calls(fences)] == ["a", "b"]


def test_a_value_loses_one_newline_on_each_side_and_nothing_else() -> None:
    text = "<function=bash>\n<parameter=command>\n\n  indented\n\n</parameter>\n</function>"
    assert calls(text) == [FoundCall("bash", {"command": "\n  indented\n"})]


def test_a_value_may_show_the_tags_itself() -> None:
    value = "text = '<parameter=x></parameter> </function>'\nprint(text)"
    text = f"<function=bash>\n<parameter=command>\n{value}\n</parameter>\n<parameter=path>\n/a\n</parameter>\n</function>"
    assert calls(text) == [FoundCall("bash", {"command": value, "path": "/a"})]


def test_a_missing_closing_tag_between_two_parameters_is_forgiven() -> None:
    text = "<function=bash>\n<parameter=command>\nls\n<parameter=path>\n/a\n</parameter>\n</function>"
    assert calls(text) == [FoundCall("bash", {"command": "ls", "path": "/a"})]


@pytest.mark.parametrize(
    "text",
    [
        "<function=bash><parameter=command>rm -rf /tm",
        "<function=bash><parameter=command>rm</parameter>",
        '<tool_call>{"name": "bash", "arguments": {"command": "rm -rf /tm',
        '[TOOL_CALLS]bash{"command": "rm -rf /tm',
    ],
)
def test_a_call_that_the_output_limit_cut_is_not_executed(text: str) -> None:
    (call,) = calls(text, cut=True)
    assert (call.name, call.arguments) == ("bash", {})
    assert "cut off" in call.error


def test_a_tagged_call_that_cannot_be_read_gets_an_answer() -> None:
    (call,) = calls('<tool_call>{"name": "bash", "arguments": {"command": "a" and more}}</tool_call>')
    assert call.name == "bash"
    assert call.error


def test_an_invented_tool_response_is_not_kept() -> None:
    text = "<function=bash><parameter=command>ls -la</parameter></function>\n<tool_response>\na.py\n</tool_response>"
    assert extract(text, "", known) == ("", (LS,))


def test_a_call_at_the_end_of_a_thought_counts_only_when_nothing_else_was_said() -> None:
    thought = "I should look.\n<function=bash><parameter=command>ls -la</parameter></function>"
    assert calls("", thought) == [LS]
    assert calls("The bug is in a.py.", thought) == []
    assert calls("", thought + "\nNo, better not.") == []


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>" * 50_000,
        '<tool_call>{"name": "bash" ' * 20_000,
        '{"a": 1}\n' * 30_000 + "}",
        "<function=bash>" * 30_000,
        "<function=bash>" + "<parameter=a>" * 30_000,
        "```json\n" * 50_000,
        "{\n" * 50_000 + "}",
        "`" * 200_000 + "<tool_call>" * 1000,
        '[TOOL_CALLS][{"name": ' * 10_000,
    ],
)
def test_hostile_text_costs_little(text: str) -> None:
    started = time.process_time()
    extract(text, text, known)
    assert time.process_time() - started < 2.0


VALUE = st.text(st.characters(codec="utf-8", exclude_characters="<\r"), max_size=60)


@given(st.dictionaries(st.sampled_from(["command", "path", "old_str"]), VALUE, min_size=1))
def test_xml_round_trip(arguments: dict[str, str]) -> None:
    body = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    text = f"<tool_call>\n<function=bash>\n{body}</function>\n</tool_call>"
    assert calls(text) == [FoundCall("bash", arguments)]


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), VALUE))
def test_json_round_trip(arguments: dict[str, Any]) -> None:
    body = canonical_json({"name": "bash", "arguments": arguments})
    for text in (f"<tool_call>\n{body}\n</tool_call>", f"words\n```json\n{body}\n```", body):
        assert calls(text) == [FoundCall("bash", arguments)]


@given(st.text(max_size=200), st.text(max_size=50))
def test_no_text_breaks_the_parser_and_without_tools_nothing_changes(text: str, thinking: str) -> None:
    assert extract(text, thinking, lambda _: False) == (text, ())


FRAGMENTS = [
    "<tool_call>",
    "</tool_call>",
    "<function=bash>",
    "<parameter=a>",
    "</parameter>",
    "</function>",
    "```",
    "```json\n",
]
FRAGMENTS += ["\n", "{", "}", '{"name": "bash", ', '"arguments": {}}', "[TOOL_CALLS]", "bash", "`", '"', "["]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=15).map("".join))
def test_only_known_tools_ever_come_out(text: str) -> None:
    assert all(known(call.name) for call in calls(text, text))
