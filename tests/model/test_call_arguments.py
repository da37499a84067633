"""Arguments of calls: what is repaired, what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.model.messages import canonical_json
from coder.model.toolcalls.arguments import (
    coerce,
    is_truncated,
    leading_name,
    parse_arguments,
    repair_arguments,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=3), max_leaves=6
)
ARGUMENTS = st.dictionaries(TEXT, VALUES, max_size=4)


@pytest.mark.parametrize(
    ("raw", "arguments"),
    [
        ('{"command": "ls"}', {"command": "ls"}),
        ("", {}),
        ("null", {}),
        ('"{\\"command\\": \\"ls\\"}"', {"command": "ls"}),
        ('{"command": "a\nb"}', {"command": "a\nb"}),
        ('{"command": "ls",}', {"command": "ls"}),
        ("{'command': 'ls', 'all': True, 'x': None}", {"command": "ls", "all": True, "x": None}),
        ('{command: "ls"}', {"command": "ls"}),
        ('```json\n{"command": "ls"}\n```', {"command": "ls"}),
        ('{"command": "grep \\"}\\" x"}', {"command": 'grep "}" x'}),
    ],
)
def test_cosmetic_damage_is_repaired(raw: str, arguments: dict[str, Any]) -> None:
    assert parse_arguments(raw) == (arguments, "")


@pytest.mark.parametrize(
    "raw",
    [
        '{"command": "rm -rf /tmp/x',
        '{"command": "rm -rf /tmp/x"',
        '{"file_text": "def f():\\n    return {1: 2}',
        '{"a": [1, 2',
        "{'command': 'ls",
        '{"a": "b\\',
    ],
)
def test_what_was_cut_off_is_never_completed(raw: str) -> None:
    assert is_truncated(raw)
    arguments, error = parse_arguments(raw)
    assert arguments == {}
    assert "cut off" in error


@pytest.mark.parametrize("raw", ['{"a": "b', "", "{}"])
def test_the_output_limit_is_named_as_the_reason(raw: str) -> None:
    assert "output limit" in parse_arguments(raw, cut=True)[1]


def test_arguments_sent_twice_count_once_and_two_calls_in_one_buffer_are_refused() -> None:
    assert parse_arguments('{}{"command": "ls"} {"command": "ls"}') == ({"command": "ls"}, "")
    assert parse_arguments('{"command": "ls"}{"command": "rm a"}') == ({}, "the arguments are not valid JSON")


@pytest.mark.parametrize("raw", ["[1, 2]", "7", '"text"', "ls -la", '{"a": 1} and {"b": 2}'])
def test_what_is_no_object_is_an_error(raw: str) -> None:
    arguments, error = parse_arguments(raw)
    assert arguments == {}
    assert error


@given(ARGUMENTS)
def test_every_object_survives_the_round_trip(arguments: dict[str, Any]) -> None:
    assert parse_arguments(canonical_json(arguments)) == (arguments, "")


@given(ARGUMENTS.filter(bool), st.data())
def test_no_prefix_of_an_object_is_taken_for_the_whole(
    arguments: dict[str, Any], data: st.DataObject
) -> None:
    whole = canonical_json(arguments)
    end = data.draw(st.integers(1, len(whole) - 1))
    parsed, error = parse_arguments(whole[:end])
    assert (parsed, bool(error)) == ({}, True)


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_whatever_comes_out_can_be_sent_as_history(raw: str) -> None:
    arguments, _ = parse_arguments(raw)
    assert json.loads(canonical_json(arguments)) == arguments


def test_numbers_that_json_cannot_write_stay_text() -> None:
    assert parse_arguments('{"a": NaN, "b": 1e999}')[0] == {"a": "NaN", "b": "1e999"}


@pytest.mark.parametrize("raw", ["{" * 100_000, "[" * 100_000 + "]" * 100_000, "{'a':" * 5_000 + "}" * 5_000])
def test_deep_nesting_is_an_error_and_no_crash(raw: str) -> None:
    assert repair_arguments(raw) is None


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("bash", "bash"),
        ("functions.bash", "bash"),
        ("functions.functions.bash:0", "bash"),
        ("bash<|channel|>commentary", "bash"),
        ("<function=bash>", "bash"),
        ('"bash"', "bash"),
        ("str_replace </parameter", "str_replace"),
        (" bash\n", "bash"),
        ("grep -n", "grep"),
        ("<>", ""),
    ],
)
def test_debris_round_a_name_is_trimmed(raw: str, name: str) -> None:
    assert leading_name(raw) == name


SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "line": {"type": "integer"},
        "ratio": {"type": "number"},
        "all": {"type": "boolean"},
        "range": {"type": ["array", "null"]},
    },
}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("path", "123", "123"),
        ("line", " 12 ", 12),
        ("line", "twelve", "twelve"),
        ("line", "true", "true"),
        ("ratio", "0.5", 0.5),
        ("all", "True", True),
        ("range", "[1, 20]", [1, 20]),
        ("range", "None", None),
        ("unknown", "1", "1"),
    ],
)
def test_strings_are_read_as_the_schema_says(name: str, text: str, value: object) -> None:
    assert coerce({name: text}, SCHEMA) == {name: value}
