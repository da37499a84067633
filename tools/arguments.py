"""Arguments as models write them, made to fit a tool's schema: other names, wrong types, debris."""

from __future__ import annotations

import ast
import json
import re
import shlex
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.dialects import EDITOR, leading_identifier
from tools.text import words

_EDITOR_NAMES = {
    "path": "file filename file_name file_path filepath target_file absolute_path relative_path uri "
    "directory dir dir_path folder",
    "file_text": "content contents text body code file_content file_contents full_text source",
    "old_str": "old old_string old_text old_content search find original target old_code before",
    "new_str": "new new_string new_text new_content replace replacement updated new_code after insert_text",
    "insert_line": "line line_number insert_at insert_after after_line position",
    "view_range": "range lines line_range",
    "command": "action cmd mode operation op",
}
_NAMES: Mapping[str, Mapping[str, str]] = {
    "bash": {
        "command": "cmd script code shell_command bash_command input commands args argv query",
        "timeout": "timeout_seconds timeout_s time_limit timeout_sec",
    },
    EDITOR: _EDITOR_NAMES,
    "search": {
        "pattern": "query regex regexp search text term keyword q string search_term search_pattern",
        "path": "directory dir folder file file_path target root dir_path search_path",
        "glob": "include file_pattern filename name file_type glob_pattern include_pattern files",
    },
    "run_tests": {
        "target": "path test tests node_id nodeid test_path file test_file file_path targets name args"
    },
    "plan": {"steps": "plan tasks todos task_list items todo list todo_list"},
    "submit": {
        "summary": "message result reason answer text explanation comment final_answer",
        "give_up": "giveup abandon cannot failed",
    },
}
_SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(words("read open show cat list ls print display"), "view"),
    **dict.fromkeys(words("write overwrite new create_file write_file"), "create"),
    **dict.fromkeys(words("replace edit strreplace update modify search_replace"), "str_replace"),
    **dict.fromkeys(words("undo revert"), "undo_edit"),
    **dict.fromkeys(words("insert_line insert_text add append"), "insert"),
}
_BODIES = frozenset({"file_text", "old_str", "new_str", "summary"})
"""Arguments whose every character may matter."""
_DEBRIS = tuple(
    f"</{tag}{end}" for tag in ("parameter", "function", "tool_call", "arg_value") for end in (">", "")
)
_FENCE = re.compile(r"```[\w-]*\n(.*?)\n?```", re.DOTALL)
_NUMBERS = re.compile(r"-?\d+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_CONSTANTS = words("None null True False undefined NaN")
_LITERAL_CAP = 200_000  # characters
_PLAIN = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list"}


@dataclass(frozen=True, slots=True)
class Fitted:
    arguments: dict[str, Any]
    ignored: tuple[str, ...]


def fit(tool: str, schema: Mapping[str, Any], given: Mapping[str, Any]) -> Fitted | str:
    """The arguments renamed and retyped for `schema`, or one line saying what is wrong with them."""
    properties: Mapping[str, Mapping[str, Any]] = schema["properties"]
    named, ignored = _rename(tool, properties, given)
    if tool == EDITOR:
        ignored = _complete_editor(named, ignored)
    ignored = _adopt_only_text(schema["required"], properties, named, ignored)
    values: dict[str, Any] = {}
    for key, value in named.items():
        fitted = _retype(key, properties[key], value)
        if fitted is None and not _is_absent(properties[key], value):
            return f"`{key}` must be {_wanted(properties[key])}."
        if fitted is not None:
            values[key] = fitted
    for key, value in values.items():
        if isinstance(value, str) and key not in _BODIES and not _is_usable(value):
            return f"`{key}` holds characters that no program takes (NUL, lone surrogates)."
    if any("<arg_key" in key or "<parameter" in key for key in given):
        return "The arguments hold tags of the call itself."
    if tool == "bash" and _is_literal(values.get("command", "")):
        return "`command` is a data literal, not a shell command."
    missing = [f"`{key}`" for key in schema["required"] if key not in values]
    if missing:
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
    return Fitted(values, tuple(ignored))


def _rename(
    tool: str, properties: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments under the schema's names, and those that have none. An exact name wins over a synonym."""
    synonyms = {word: key for key, line in _NAMES.get(tool, {}).items() for word in words(line)}
    named = {key: value for key, value in given.items() if key in properties}
    unknown: dict[str, Any] = {}
    for written, value in given.items():
        if written in properties:
            continue
        word = leading_identifier(written)
        key = word if word in properties else synonyms.get(word, "")
        if key and key not in named:
            named[key] = value
        else:
            unknown[written] = value
    return named, unknown


def _complete_editor(named: dict[str, Any], unknown: dict[str, Any]) -> dict[str, Any]:
    """Infer what the editor is to do from the arguments that came, and gather a range from its ends."""
    ends = {leading_identifier(key): value for key, value in unknown.items()}
    start = next((ends[key] for key in ("start_line", "start", "from_line", "offset") if key in ends), None)
    end = next((ends[key] for key in ("end_line", "end", "to_line") if key in ends), None)
    if start is not None and "view_range" not in named:
        if end is None and "limit" in ends:
            first, count = _integer(start), _integer(ends["limit"])
            end = None if first is None or count is None else first + count - 1
        named["view_range"] = [start, -1 if end is None else end]
        consumed = {"start_line", "start", "from_line", "offset", "end_line", "end", "to_line", "limit"}
        unknown = {key: value for key, value in unknown.items() if leading_identifier(key) not in consumed}
    if "command" not in named:
        named["command"] = _implied_command(named)
    command = _synonym(str(named["command"]))
    if command in ("insert", "str_replace") and "new_str" not in named and "file_text" in named:
        named["new_str"] = named.pop("file_text")
    if command == "create" and "file_text" not in named and "new_str" in named:
        named["file_text"] = named.pop("new_str")
    return unknown


def _implied_command(named: Mapping[str, Any]) -> str:
    if "old_str" in named:
        return "str_replace"
    if "insert_line" in named:
        return "insert"
    return "create" if "file_text" in named else "view"


def _adopt_only_text(
    required: list[str], properties: Mapping[str, Any], named: dict[str, Any], unknown: dict[str, Any]
) -> dict[str, Any]:
    """One unknown argument and one missing one: they are meant for each other."""
    missing = [key for key in required if key not in named] or ([] if named else list(properties)[:1])
    if len(missing) != 1 or len(unknown) != 1:
        return unknown
    ((written, value),) = unknown.items()
    wants_text = properties[missing[0]]["type"] == "string"
    if wants_text != isinstance(value, str) or (not required and written):
        return unknown
    named[missing[0]] = value
    return {}


def _retype(key: str, schema: Mapping[str, Any], value: Any) -> Any:
    """The value in the schema's type, or None."""
    match schema["type"]:
        case "integer":
            return _integer(value)
        case "number":
            return _number(value)
        case "boolean":
            return _boolean(value)
        case "array":
            return _array(schema, value)
    if "enum" in schema:
        word = _synonym(str(value))
        return word if word in schema["enum"] else None
    return _string(key, value)


def _is_absent(schema: Mapping[str, Any], value: Any) -> bool:
    """Models fill optional arguments with null, "" or []."""
    if isinstance(value, str):
        return schema["type"] != "string" and value.strip().lower() in ("", "null", "none")
    return value is None or (schema["type"] != "string" and value in ([], {}))


def _wanted(schema: Mapping[str, Any]) -> str:
    return "one of " + ", ".join(schema["enum"]) if "enum" in schema else _PLAIN.get(schema["type"], "text")


def _integer(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e15 else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
        str(value).strip().lower()
    )


def _array(schema: Mapping[str, Any], value: Any) -> list[Any] | None:
    if isinstance(value, str):
        value = _parsed(value) or value
    integers = schema.get("items", {}).get("type") == "integer"
    if isinstance(value, str):
        items: list[Any] = _NUMBERS.findall(value.replace("-", " ")) if integers else value.split("\n")
    elif isinstance(value, list | tuple):
        items = list(value)
    elif isinstance(value, dict):
        items = list(value.values()) if integers else [value]
    else:
        items = [value]
    if not integers:
        return items
    numbers = [_integer(item) for item in items]
    return None if not numbers or None in numbers else numbers


def _string(key: str, value: Any) -> str | None:
    if value is None:
        return None
    if key == "command":
        return _command(value)
    text = str(value) if not isinstance(value, dict | list) else _as_json(value)
    if text is None:
        return None
    if key in _BODIES:
        return text
    text = _without_debris(text)
    return (
        text.strip().strip("`\"'") if key == "path" else text.strip() if key in ("glob", "target") else text
    )


def _as_json(value: Any) -> str | None:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:
        return None


def _command(value: Any) -> str | None:
    """A shell command from what came: text, an argument vector, or text wrapped in JSON or a fence."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        parsed = _parsed(value)
        value = parsed if isinstance(parsed, dict) and isinstance(parsed.get("command"), str) else value
    if isinstance(value, dict):
        value = value.get("command") or _as_json(value)
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        if len(value) == 1:
            return _command(value[0])
        shell = len(value) == 3 and value[0].endswith("sh") and value[1] in ("-c", "-lc")
        return str(value[2]) if shell else shlex.join(value)
    if not isinstance(value, str):
        return None if value is None else _as_json(value)
    text = _without_debris(value)
    fenced = _FENCE.fullmatch(text.strip())
    return (fenced[1] if fenced else text).removeprefix("$ ")


def _is_literal(command: str) -> bool:
    """`[{'default': …}]` and the like, which some models send to the shell (Nemotron Ultra, OpenHands SDK tests)."""
    text = command.strip()
    if text in _CONSTANTS or _NUMBER.fullmatch(text):
        return True
    return text[:1] + text[-1:] in ("[]", "{}", "()") and isinstance(_parsed(text), list | dict | set | tuple)


def _parsed(text: str) -> Any:
    """The value of a JSON or Python literal, or None."""
    if len(text) > _LITERAL_CAP:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _without_debris(text: str) -> str:
    """Text without the closing tags that a parser left at its end."""
    while True:
        stripped = text.rstrip()
        tag = next((tag for tag in _DEBRIS if stripped.endswith(tag)), "")
        if not tag:
            return text
        text = stripped.removesuffix(tag).rstrip()


def _is_usable(text: str) -> bool:
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)


def _synonym(word: str) -> str:
    identifier = leading_identifier(word)
    return _SYNONYMS.get(identifier, identifier)
