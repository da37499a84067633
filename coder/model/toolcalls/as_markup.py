"""Tool calls written as markup: qwen3_coder's `<function=…>`, Anthropic's `<invoke name=…>`, GLM's `<arg_key>`.

One newline on each side of a value belongs to the format, everything else to the value. A value ends at a closing tag
that another tag or the end follows, so that code which shows these tags survives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from coder.model.toolcalls.arguments import CUT_OFF, leading_name
from coder.model.toolcalls.as_json import FoundCall, decode

_PARAMETER_CAP = 32  # no model means more; hostile text must not cost more
# `antml:` in Anthropic's own prompts, `｜DSML｜` in DeepSeek V3.2's (vLLM, deepseekv32_tool_parser.py).
_SPACE = "(?:antml:|｜DSML｜)?"
WRAPPER = rf"{_SPACE}(?:[a-z]{{1,12}}:)?(?:tool_calls?|function_calls?)"
FUNCTION = rf"<{_SPACE}(?:function ?=|(?:function|invoke) name ?=)([^>\n]{{1,80}})>"
_CALL_END = rf"</{_SPACE}(?:function|invoke)>"
_PARAMETER = rf"<{_SPACE}parameter(?: ?=| name ?=)([^>\n]{{1,80}})>"
_PARAMETER_START = rf"<{_SPACE}parameter[ =]"


class _Ends(NamedTuple):
    """Where a value ends: at its closing tag, or at the tag that should have come after it."""

    closed: re.Pattern[str]
    unclosed: re.Pattern[str]


class _Markup(NamedTuple):
    parameter: re.Pattern[str]
    start: str
    close: str
    on_lines: _Ends
    inline: _Ends


def _markup(parameter: str, start: str, close: str, after: str) -> _Markup:
    """`after` matches what may follow a value. A value that begins on its own line ends on one too."""
    ends = [
        _Ends(
            re.compile(rf"{line}{close}\s*(?={start}|{after}|\Z)"), re.compile(rf"{line}(?={start}|{after})")
        )
        for line in (r"(?<=\n)", "")
    ]
    return _Markup(re.compile(rf"\s*{parameter}"), start, close, *ends)


_XML = _markup(_PARAMETER, _PARAMETER_START, rf"</{_SPACE}parameter>", rf"{_CALL_END}|</{WRAPPER}>")
_GLM = _markup(
    r"<(?:arg_key|tool_call)>([^<>\n]{1,80})</arg_key>\s*<arg_value>",
    "<arg_key>",
    "</arg_value>",
    "</tool_call>",
)
_FUNCTION = re.compile(FUNCTION)
_CLOSERS = re.compile(
    rf"\s*(?:</{_SPACE}parameter>\s*)?(?P<call>{_CALL_END})?(?P<wrapper>(?:\s*</{WRAPPER}>)*)"
)
_GLM_NAME = re.compile(
    r"\s*([A-Za-z_][\w.:-]{0,79})\s*(?=<arg_key>|<tool_call>[^<>\n]{1,80}</arg_key>|</tool_call>)"
)
# After an answer that was cut, only these show that the call had ended: code inside it may show its closing tags.
_FOLLOWED = re.compile(rf"\s*(?:\Z|<(?:{WRAPPER}>|function|{_SPACE}invoke|tool_response|\|im_))")


def function_call(
    text: str, start: int, known: Callable[[str], bool], cut: bool
) -> tuple[list[FoundCall], int]:
    """`<function=name><parameter=p>value</parameter></function>`, closing tags optional; none for an unknown name.

    The name alone, without as much as a closing tag, is a word about a tool and no call of it.
    """
    function = _FUNCTION.match(text, start)
    name = leading_name(function.group(1)) if function else ""
    if not function or not known(name):
        return [], start
    arguments, position, complete = _values(text, function.end(), _XML)
    if not arguments and isinstance((body := decode(text, position))[0], dict):
        arguments, position = body
    closers = _CLOSERS.match(text, position)
    assert closers
    end = closers.end()
    ended = complete and (closers["call"] or closers["wrapper"]) and _FOLLOWED.match(text, end)
    if cut and not ended:
        return [FoundCall(name, {}, CUT_OFF)], end
    said = arguments or closers.group().strip()
    return ([FoundCall(name, arguments)] if said else []), end


def glm_call(text: str, start: int, known: Callable[[str], bool], cut: bool) -> tuple[list[FoundCall], int]:
    """What GLM 4.5 and later write inside `<tool_call>`: `name`, then pairs of `<arg_key>` and `<arg_value>`.

    Seen too: `<tool_call>` once more where the first `<arg_key>` belongs (sigit pull 95).
    """
    named = _GLM_NAME.match(text, start)
    name = leading_name(named.group(1)) if named else ""
    if not named or not known(name):
        return [], start
    arguments, position, complete = _values(text, named.end(), _GLM)
    closers = _CLOSERS.match(text, position)
    assert closers
    if cut and not (complete and closers["wrapper"] and _FOLLOWED.match(text, closers.end())):
        return [FoundCall(name, {}, CUT_OFF)], closers.end()
    return [FoundCall(name, arguments)], closers.end()


def after_closers(text: str, position: int) -> int:
    """Behind the closing tags that stand at this place."""
    closers = _CLOSERS.match(text, position)
    return closers.end() if closers else position


def _values(text: str, position: int, markup: _Markup) -> tuple[dict[str, Any], int, bool]:
    """The arguments by name, where to go on, and whether the last value was closed."""
    arguments: dict[str, Any] = {}
    complete = True
    for _ in range(_PARAMETER_CAP):
        if not (parameter := markup.parameter.match(text, position)):
            break
        value_end, position, complete = _value_end(text, parameter.end(), markup)
        value = text[parameter.end() : value_end].removeprefix("\n").removesuffix("\n")
        arguments[leading_name(parameter.group(1))] = value
    return arguments, position, complete


def _value_end(text: str, start: int, markup: _Markup) -> tuple[int, int, bool]:
    """Where the value ends, where to go on, and whether it was closed in the manner in which it began."""
    lines = text.startswith("\n", start)
    for ends in (markup.on_lines, markup.inline) if lines else (markup.inline,):
        closed = ends.closed.search(text, start)
        unclosed = ends.unclosed.search(text, start, closed.start() if closed else len(text))
        as_begun = ends is markup.on_lines or not lines
        if closed and not (unclosed and _is_another(text[unclosed.start() : closed.start()], markup)):
            return closed.start(), closed.end(), as_begun
        if unclosed:
            return unclosed.start(), unclosed.end(), as_begun
    return len(text), len(text), False


def _is_another(between: str, markup: _Markup) -> bool:
    """Whether the closing tag after this text belongs to a later parameter: the one before was left open."""
    return bool(re.search(markup.start, between)) and not re.search(markup.close, between)
