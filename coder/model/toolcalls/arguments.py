"""Reading the arguments of a tool call: strict where it matters, tolerant of cosmetic damage."""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from typing import Any

CUT_OFF = "the arguments were cut off by the output limit; nothing was executed. Write less at once."
_FENCE = re.compile(r"\A\s*```\w*\s*\n(.*?)\n?```\s*\Z", re.DOTALL)
_REPAIR_CAP = 300_000  # characters
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SKELETON_CAP = 4_000  # characters outside strings; json_repair needs the square of their number
_NAME_CAP = 200
_REPEATED_CAP = 8
_LEADING_NAME = re.compile(
    r"""[\s"'`]*(?:</?\w{1,20}[=>\s]\s*)*["'`]*(?:(?:[A-Za-z_]\w*\.|(?:functions?|tools?)[:/])\s*(?=[A-Za-z_]))*"""
    r"([A-Za-z_][A-Za-z0-9_-]*)"
)


def parse_arguments(raw: str, *, cut: bool = False) -> tuple[dict[str, Any], str]:
    """`(arguments, error)`: the arguments as an object, or empty and why they could not be read.

    `cut` says that the answer ended at the output limit.
    """
    if raw.strip() in ("", "null", "None"):
        return {}, CUT_OFF if cut else ""
    value = _strict(raw)
    if isinstance(value, str):  # encoded twice
        value = _strict(value)
    if value is None:
        value = _once(raw)
    if isinstance(value, dict):
        return value, CUT_OFF if cut and not value else ""  # some servers begin with `{}`
    if value is not None:
        return {}, "the arguments must be a JSON object"
    if cut or is_truncated(raw):
        return (
            {},
            CUT_OFF if cut else "the arguments are incomplete JSON: the call was cut off. Send it again.",
        )
    repaired = repair_arguments(raw)
    return (repaired, "") if repaired is not None else ({}, "the arguments are not valid JSON")


def _once(raw: str) -> Any:
    """The object that was sent several times over, empty ones before it not counted; None for anything else.

    Some servers repeat the whole arguments as a last piece (kanban issue 339), some begin with `{}`. Different
    objects are two calls in one (gcli2api pull 406): which was meant would have to be guessed.
    """
    found: Any = None
    position = 0
    for _ in range(_REPEATED_CAP):
        value, end = decode_json(raw, position)
        if not isinstance(value, dict) or (found and value and value != found):
            return None
        found = found or value
        position = end
        if not raw[end : end + _REPEATED_CAP].strip() and not raw[end:].strip():
            return found
    return None


def repair_arguments(raw: str) -> dict[str, Any] | None:
    """The object that damaged JSON meant, where the damage is cosmetic: quotes, commas, fences, Python literals.

    None when something would have to be guessed: cut-off text, or text that a repair would lose or invent.
    """
    value = repair_json(raw)
    return value if isinstance(value, dict) else None


def repair_json(raw: str) -> dict[str, Any] | list[Any] | None:
    """The same for an object or a list."""
    if len(raw) > _REPAIR_CAP:
        return None
    text = fenced.group(1) if (fenced := _FENCE.match(raw)) else raw.strip()
    if (value := _strict(text)) is None:
        value = _python_literal(text)
    if value is None and not is_truncated(text):
        value = _repaired(text)
    return value if isinstance(value, dict | list) else None


def is_truncated(raw: str) -> bool:
    """Whether the text ends inside a string or before its brackets are closed."""
    quotes = "\"'" if re.match(r"\s*[{\[]\s*'", raw) else '"'
    depth, quote, escaped = 0, "", False
    for character in raw:
        if escaped:
            escaped = False
        elif quote:
            escaped = character == "\\"
            quote = "" if character == quote else quote
        elif character in quotes:
            quote = character
        else:
            depth += (character in "{[") - (character in "}]")
    return bool(quote) or depth > 0


def leading_name(raw: str) -> str:
    """The tool's name without the debris that models and parsers leave round it (`bash </parameter`, `functions.bash`)."""
    match = _LEADING_NAME.match(raw.lstrip()[:_NAME_CAP])
    return match.group(1) if match else ""


def coerce(arguments: dict[str, Any], schema: dict[str, Any] | None) -> dict[str, Any]:
    """Read strings as what the tool's JSON schema says: XML calls carry no types.

    A value that does not read as its type stays a string, for the tool to refuse in its own words.
    """
    properties = schema.get("properties") if schema else None
    if not isinstance(properties, dict):
        return arguments
    return {name: _coerced(value, properties.get(name)) for name, value in arguments.items()}


_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


def _coerced(value: Any, schema: object) -> Any:
    kinds = schema.get("type") if isinstance(schema, dict) else None
    wanted = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    if not isinstance(value, str) or "string" in wanted:
        return value
    text = value.strip()
    read = _strict(text.lower() if "boolean" in wanted else text)
    for kind in wanted:
        if kind == "null" and text.lower() in ("null", "none"):
            return None
        expected = _JSON_TYPES.get(kind)
        if expected and isinstance(read, expected) and isinstance(read, bool) == (kind == "boolean"):
            return read
    return value


def decode_json(text: str, start: int = 0) -> tuple[Any, int]:
    """The JSON value at `start` (white space skipped, raw newlines in strings allowed) and its end; else (None, 0).

    Numbers that JSON cannot write again (NaN, 1e999) stay text.
    """
    decoder = json.JSONDecoder(strict=False, parse_constant=str, parse_float=_finite)
    while start < len(text) and text[start].isspace():
        start += 1
    try:
        return decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, 0


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _strict(text: str) -> Any:
    """The whole text as JSON; None when it is not."""
    value, end = decode_json(text)
    return None if text[end:].strip() else value


def _python_literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=Warning)  # about escapes in what a model wrote
            return plain(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def plain(value: Any) -> Any:
    """The literal again if JSON can carry it; raises ValueError otherwise."""
    json.dumps(value, allow_nan=False)
    return value


def _repaired(text: str) -> Any:
    import json_repair

    if len(_STRING.sub("", text)) > _SKELETON_CAP:
        return None
    try:
        value = json_repair.loads(text, skip_json_loads=True)
    except (ValueError, RecursionError):
        return None
    return value if _substance(text) == _substance(json.dumps(value, ensure_ascii=False)) else None


def _substance(text: str) -> str:
    """What must survive a repair: everything but quotes, white space, commas and escapes."""
    plain = re.sub(r"\\[nrtbf]", "", text).lower()
    return re.sub(r"[\s\"'`,\\]", "", re.sub(r"\bnone\b", "null", plain))
