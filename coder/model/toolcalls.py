"""Tool calls that a server left in the text: hermes tags, qwen3_coder XML, fenced or bare JSON, [TOOL_CALLS].

Nothing fires on text that merely shows such a call: the name must be a known tool, the arguments an object, tags must
not stand in quoted code, and JSON must end the message.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from coder.model.arguments import CUT_OFF, decode_json, leading_name, parse_arguments, repair_arguments

KnownTools = Callable[[str], bool]
_TAG_CAP, _PARAMETER_CAP, _START_CAP = 256, 32, 10  # no model means more; hostile text must not cost more


class FoundCall(NamedTuple):
    """A call found in text; `error` as in `ToolCall`."""

    name: str
    arguments: dict[str, Any]
    error: str = ""


_TAG = re.compile(r"<tool_call>|<function=([^>\n]{1,80})>|\[TOOL_CALLS\]")
_FUNCTION = re.compile(r"\s*<function=([^>\n]{1,80})>")
_PARAMETER = re.compile(r"\s*<parameter=([^>\n]{1,80})>")
_END = r"</parameter>\s*(?=<parameter=|</function>|</tool_call>|\Z)"
_END_UNCLOSED = r"(?=<parameter=|</function>|</tool_call>)"
# A value that begins on its own line ends on one too, so it may show these tags inside its lines.
_LINE = r"(?<=\n)"
_VALUE_ENDS = [
    (re.compile(_LINE + _END), re.compile(_LINE + _END_UNCLOSED)),
    (re.compile(_END), re.compile(_END_UNCLOSED)),
]
_CLOSERS = re.compile(r"\s*(?:</parameter>\s*)?(?:</function>\s*)?(?:</tool_call>)?")
_HERMES_END = re.compile(r"</?tool_call>")
_NAMED_IN_JSON = re.compile(r"""["']name["']\s*:\s*["']([^"']{1,80})["']""")
_MISTRAL_NAME = re.compile(r"\s*([A-Za-z_][\w-]*)\s*(?:\[ARGS\]\s*)?(?=\{)")
_INVENTED = re.compile(r"<tool_response>|<\|im_(?:start|end)\|>")
_LAST_FENCE = re.compile(
    r"(?:^|\n)[ \t]*```[a-z_]*[ \t]*\n(?![ \t]*```)((?:(?!\n[ \t]*```).)*)\n[ \t]*```\s*\Z", re.DOTALL
)
_EMPTY_FENCE = re.compile(r"```[a-z_]*\s*```\s*\Z")
_OPEN_FENCE = re.compile(r"(?:^|\n)[ \t]*```[a-z_]*[ \t]*\n?\Z")
_NAME_KEYS = ("name", "tool", "tool_name", "function", "action")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "action_input")


def extract(
    text: str, thinking: str, known_tools: KnownTools, *, cut: bool = False
) -> tuple[str, tuple[FoundCall, ...]]:
    """The calls in `text`, or, when there is no text at all, at the end of `thinking`; and the text without them.

    `cut` says that the message ended at the output limit: then an unclosed call carries an error.
    """
    remaining, calls = find_calls(text, known_tools, cut=cut)
    if not calls and not text.strip():
        _, calls = find_calls_at_end(thinking, known_tools, cut=cut)
    return remaining, tuple(calls)


def find_calls(text: str, known_tools: KnownTools, *, cut: bool = False) -> tuple[str, list[FoundCall]]:
    """Tagged calls anywhere outside quoted code, else JSON calls at the end; and the text without them."""
    remaining, calls = _tagged(text, known_tools, cut)
    if not calls:
        remaining, calls = _json_at_end(text, known_tools)
    return (remaining, calls) if calls else (text, [])


def find_calls_at_end(
    text: str, known_tools: KnownTools, *, cut: bool = False
) -> tuple[str, list[FoundCall]]:
    """The same, but only when nothing is said after the calls: a thought may weigh a call and drop it."""
    marked = text.rstrip() + "\n"
    remaining, calls = find_calls(marked, known_tools, cut=cut)
    if calls and marked.startswith(remaining.rstrip()):
        return remaining, calls
    return text, []


# -- tags ------------------------------------------------------------------------------------------------------------


def _tagged(text: str, known_tools: KnownTools, cut: bool) -> tuple[str, list[FoundCall]]:
    calls: list[FoundCall] = []
    kept: list[str] = []
    position = 0
    is_quoted = _quotes(text)
    for match in islice(_TAG.finditer(text), _TAG_CAP):
        if match.start() < position or is_quoted(match.start()):
            continue
        found, end = _at_tag(text, match, cut)
        if found := [call for call in found if call.name and known_tools(call.name)]:
            kept.append(text[position : match.start()])
            calls += found
            position = end
    kept.append(_INVENTED.split(text[position:], maxsplit=1)[0])
    return _EMPTY_FENCE.sub("", "".join(kept)).rstrip(), calls


def _at_tag(text: str, match: re.Match[str], cut: bool) -> tuple[list[FoundCall], int]:
    """The calls that begin at this tag, and where they end; none and just after the tag when it is not one."""
    if match.group().startswith("<function="):
        call, end = _xml_call(text, match.start(), cut)
        bare = not (call.arguments or call.error or "</" in text[match.end() : end])
        return ([] if bare else [call]), end
    if match.group() == "[TOOL_CALLS]":
        return _mistral_calls(text, match.end(), cut)
    if _FUNCTION.match(text, match.end()):
        call, end = _xml_call(text, match.end(), cut)
        return [call], end
    return _hermes_call(text, match.end(), cut)


def _xml_call(text: str, start: int, cut: bool) -> tuple[FoundCall, int]:
    """`<function=name><parameter=p>value</parameter></function>`, closing tags optional.

    One newline on each side of a value belongs to the format, everything else to the value. A value ends at a
    closing tag that another tag or the end follows, so that code which shows these tags survives.
    """
    function = _FUNCTION.match(text, start)
    assert function
    name, position = leading_name(function.group(1)), function.end()
    arguments: dict[str, Any] = {}
    complete = True
    for _ in range(_PARAMETER_CAP):
        if not (parameter := _PARAMETER.match(text, position)):
            break
        value_end, position, complete = _value_end(text, parameter.end())
        arguments[leading_name(parameter.group(1))] = _trim_newline(text[parameter.end() : value_end])
    if not arguments and (body := _json_body(text, position)):
        arguments, position = body
    closers = _CLOSERS.match(text, position)
    assert closers
    if cut and not (complete and ("</function>" in closers.group() or "</tool_call>" in closers.group())):
        return FoundCall(name, {}, CUT_OFF), closers.end()
    return FoundCall(name, arguments), closers.end()


def _value_end(text: str, start: int) -> tuple[int, int, bool]:
    """Where the value ends, where to go on, and whether the value was closed."""
    for closed_end, unclosed_end in _VALUE_ENDS[0 if text.startswith("\n", start) else 1 :]:
        closed = closed_end.search(text, start)
        unclosed = unclosed_end.search(text, start, closed.start() if closed else len(text))
        if closed and not (unclosed and _is_another(text[unclosed.start() : closed.start()])):
            return closed.start(), closed.end(), True
        if unclosed:
            return unclosed.start(), unclosed.end(), True
    return len(text), len(text), False


def _is_another(between: str) -> bool:
    """Whether the closing tag after this text belongs to a later parameter: the one before was left open."""
    return "<parameter=" in between and "</parameter>" not in between


def _trim_newline(value: str) -> str:
    return value.removeprefix("\n").removesuffix("\n")


def _json_body(text: str, position: int) -> tuple[dict[str, Any], int] | None:
    """A JSON object in place of the parameters: `<function=bash>{"command": …}</function>`."""
    value, end = _decode(text, position)
    return (value, end) if isinstance(value, dict) else None


def _hermes_call(text: str, start: int, cut: bool) -> tuple[list[FoundCall], int]:
    """`<tool_call>{json}</tool_call>`; the closing tag and cosmetic JSON damage are forgiven."""
    value, end = _decode(text, start)
    if value is None:
        body = _HERMES_END.split(text[start:], maxsplit=1)[0]
        if not body.lstrip().startswith("{"):
            return [], start
        end = start + len(body)
        value = repair_arguments(body)
        if value is None:
            named = _NAMED_IN_JSON.search(body)
            if not named:
                return [], start
            error = (
                parse_arguments(body, cut=cut and end == len(text))[1] or "the arguments are not valid JSON"
            )
            return [FoundCall(leading_name(named.group(1)), {}, error)], _after_closers(text, end)
    return list(_calls_of(value, tagged=True)), _after_closers(text, end)


def _after_closers(text: str, position: int) -> int:
    closers = _CLOSERS.match(text, position)
    return closers.end() if closers else position


def _mistral_calls(text: str, start: int, cut: bool) -> tuple[list[FoundCall], int]:
    """`[TOOL_CALLS][{…}, …]` or `[TOOL_CALLS]name{…}` (with `[ARGS]` between in later versions)."""
    named = _MISTRAL_NAME.match(text, start)
    value, end = _decode(text, named.end() if named else start)
    if named:
        error = "" if isinstance(value, dict) else CUT_OFF if cut else "the arguments are not valid JSON"
        return [FoundCall(named.group(1), value if isinstance(value, dict) else {}, error)], end or len(text)
    return (list(_calls_of(value, tagged=True)), end) if value is not None else ([], start)


def _quotes(text: str) -> Callable[[int], bool]:
    """Tells whether a position stands in inline code, or in a fenced block that prose follows."""
    fences = [match.start() for match in re.finditer(r"^[ \t]*```", text, re.MULTILINE)]

    def is_quoted(position: int) -> bool:
        if text.count("`", text.rfind("\n", 0, position) + 1, position) % 2:
            return True
        before = bisect(fences, position)
        if before % 2 == 0 or before == len(fences):
            return False
        return bool(text[fences[before] :].lstrip("` \t").strip())

    return is_quoted


# -- JSON ------------------------------------------------------------------------------------------------------------


def _json_at_end(text: str, known_tools: KnownTools) -> tuple[str, list[FoundCall]]:
    """Calls in fenced blocks that end the message (several in a row), or bare JSON that ends it."""
    calls: list[FoundCall] = []
    remaining = text.rstrip()
    while fence := _LAST_FENCE.search(remaining):
        found = _all_known(_loads(fence.group(1)), known_tools)
        if not found:
            break
        calls = found + calls
        remaining = remaining[: fence.start()].rstrip()
    if calls:
        return remaining, calls
    for start in _json_starts(remaining):
        value, end = _decode(remaining, start)
        if value is None and (literal := repair_arguments(remaining[start:])) is not None:
            value, end = literal, len(remaining)
        found = _all_known(value, known_tools) if end == len(remaining) else []
        if found:
            return _OPEN_FENCE.sub("", remaining[:start]).rstrip(), found
    return text, []


def _json_starts(text: str) -> list[int]:
    """Line starts that open an object or a list; none when the text does not end in one."""
    if not text.endswith(("}", "]")):
        return []
    starts = [match.end() - 1 for match in re.finditer(r"^[ \t]*[{\[]", text, re.MULTILINE)]
    is_quoted = _quotes(text)
    return [start for start in islice(starts, _START_CAP) if not is_quoted(start)]


def _all_known(value: object, known_tools: KnownTools) -> list[FoundCall]:
    """The calls in a JSON value; none at all when part of it is something else."""
    calls = list(_calls_of(value, tagged=False))
    return calls if calls and all(call.name and known_tools(call.name) for call in calls) else []


def _calls_of(value: object, *, tagged: bool) -> Iterator[FoundCall]:
    """The calls in a decoded value: one object, a list of them, or `{"tool_calls": […]}`.

    Outside tags (`tagged` false) the arguments must be there.
    """
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    for each in value if isinstance(value, list) else [value]:
        inner = each.get("function") if isinstance(each, dict) else None
        call = _call_of(inner if isinstance(inner, dict) else each, tagged)
        yield call or FoundCall("", {}, "not a call")


def _call_of(value: object, tagged: bool) -> FoundCall | None:
    if not isinstance(value, dict):
        return None
    name = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    arguments: Any = next((value[key] for key in _ARGUMENT_KEYS if key in value), {} if tagged else None)
    if name is None:
        return None
    if isinstance(arguments, str):
        arguments, error = parse_arguments(arguments)
        return FoundCall(leading_name(name), arguments, error)
    return FoundCall(leading_name(name), arguments) if isinstance(arguments, dict) else None


def _loads(text: str) -> object:
    value, end = _decode(text, 0)
    if value is not None and not text[end:].strip():
        return value
    return repair_arguments(text)


def _decode(text: str, start: int) -> tuple[Any, int]:
    """The JSON object or list that begins at `start`, and its end; (None, 0) otherwise."""
    value, end = decode_json(text, start)
    return (value, end) if isinstance(value, dict | list) else (None, 0)
