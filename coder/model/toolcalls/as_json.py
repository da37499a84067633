"""Tool calls written as JSON: one object, a list, several in a row, under all the keys that models use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from coder.model.toolcalls.arguments import (
    CUT_OFF,
    decode_json,
    leading_name,
    parse_arguments,
    repair_arguments,
)

INVALID = "the arguments are not valid JSON"
_SEQUENCE_CAP = 16
_NAME_KEYS = ("name", "tool", "tool_name", "function", "action")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "action_input", "tool_input", "params")
_WRAPPERS = ("tool_calls", "tool_call", "function_call")
_BESIDE = frozenset(
    (*_NAME_KEYS, *_ARGUMENT_KEYS, "type", "id", "index", "call_id", "tool_call_id", "thought")
)
"""What may stand beside a call's name where no tag marks it; anything else is a document of another kind."""
_BETWEEN = re.compile(r"[\s;,]*")
_ANOTHER = re.compile(r"\s*\{")


class FoundCall(NamedTuple):
    """A call found in text; `error` as in `ToolCall`."""

    name: str
    arguments: dict[str, Any]
    error: str = ""


def calls_of(value: object, *, tagged: bool) -> Iterator[FoundCall]:
    """The calls in a decoded value: one object, a list of them, or `{"tool_calls": […]}`.

    Outside tags (`tagged` false) the arguments must be there. What is no call comes out without a name.
    """
    if isinstance(value, dict) and len(value) == 1:
        value = next((value[key] for key in _WRAPPERS if isinstance(value.get(key), dict | list)), value)
    for each in value if isinstance(value, list) else [value]:
        yield _call_of(_inner(each), tagged) or FoundCall("", {}, "not a call")


def _inner(value: object) -> object:
    """`{"type": "function", "function": {"name": …}}` holds the call one level down."""
    if isinstance(value, dict):
        for key in ("function", "tool"):
            if isinstance(value.get(key), dict):
                return value[key]
    return value


def _call_of(value: object, tagged: bool) -> FoundCall | None:
    if not isinstance(value, dict) or not (tagged or _BESIDE.issuperset(value)):
        return None
    name_key = next((key for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    if name_key is None:
        return None
    key = next((key for key in _ARGUMENT_KEYS if key in value), None)
    arguments: Any = value[key] if key else _beside(value, name_key) if tagged else None
    if isinstance(arguments, str):
        arguments, error = parse_arguments(arguments)
        return FoundCall(leading_name(value[name_key]), arguments, error)
    if arguments is None and tagged:
        arguments = {}
    if not isinstance(arguments, dict) or (not tagged and _is_schema(arguments)):
        return None
    return FoundCall(leading_name(value[name_key]), arguments)


def _beside(value: dict[str, Any], name_key: str) -> dict[str, Any]:
    """Arguments that stand beside the name: `{"name": "bash", "command": "ls"}`."""
    return {key: each for key, each in value.items() if key not in (name_key, "id", "type", "index")}


def _is_schema(arguments: dict[str, Any]) -> bool:
    """A tool's definition is no call of it."""
    return arguments.get("type") == "object" and "properties" in arguments


def loads(text: str) -> object:
    """The whole text as one value, cosmetic damage repaired; several values in a row as their list."""
    values, end = sequence(text, 0)
    if values and not text[end:].strip():
        return values[0] if len(values) == 1 else values
    return repair_arguments(text)


def sequence(text: str, start: int) -> tuple[list[Any], int]:
    """The objects and lists that stand in a row from `start`, and the end of the last."""
    values: list[Any] = []
    end = position = start
    while len(values) < _SEQUENCE_CAP:
        value, after = decode(text, position)
        if value is None:
            break
        values.append(value)
        end = after
        between = _BETWEEN.match(text, end)
        position = between.end() if between else end
    return values, end


def decode(text: str, start: int) -> tuple[Any, int]:
    """The JSON object or list that begins at `start`, and its end; (None, 0) otherwise."""
    value, end = decode_json(text, start)
    return (value, end) if isinstance(value, dict | list) else (None, 0)


def named(name: str, text: str, start: int, closer: re.Pattern[str], cut: bool) -> tuple[FoundCall, int]:
    """The call of a name whose JSON arguments begin at `start` and end at `closer` or the end of the text."""
    value, end = decode(text, start)
    if isinstance(value, dict) and not _ANOTHER.match(text, end):
        closed = closer.match(text, end)
        return FoundCall(leading_name(name), value), closed.end() if closed else end
    found = closer.search(text, start)
    body = text[start : found.start() if found else len(text)]
    arguments, error = parse_arguments(body, cut=cut and not found)
    if not body.strip() and cut and not found:
        error = CUT_OFF
    return FoundCall(leading_name(name), arguments, error), found.end() if found else len(text)
