"""Tool calls between special tokens: Mistral, Llama, gpt-oss, Kimi, DeepSeek, Gemma. A server without the right
parser passes these tokens on as text, sometimes without their brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from coder.model.toolcalls.arguments import CUT_OFF, decode_json, leading_name, parse_arguments, repair_json
from coder.model.toolcalls.as_json import INVALID, FoundCall, calls_of, named, sequence
from coder.model.toolcalls.as_markup import WRAPPER, after_closers, function_call, glm_call
from coder.model.toolcalls.as_python import python_calls

Known = Callable[[str], bool]
Found = tuple[list[FoundCall], int]
"""The calls that begin at a tag (none: it was not one, or of an unknown tool), and where they end."""

_NAMED_IN_JSON = re.compile(r"""["']name["']\s*:\s*["']([^"']{1,80})["']""")
_NAME_BEFORE_JSON = re.compile(r"\s*([A-Za-z_][\w.:-]{0,79})\s*(?=\{)")
_HERMES_END = re.compile(rf"</{WRAPPER}>|(?=<{WRAPPER}>)")
_STRAY_BRACKETS = re.compile(r"[\s}\]]*(?=</)")


def wrapped(text: str, match: re.Match[str], known: Known, cut: bool) -> Found:
    """Whatever models put between `<tool_call>` and `</tool_call>`: JSON, markup, GLM's pairs, a name and JSON."""
    start = match.end()
    for reader in (_function_inside, glm_call):
        calls, end = reader(text, start, known, cut)
        if calls:
            return calls, end
    if (name := _NAME_BEFORE_JSON.match(text, start)) and known(leading_name(name.group(1))):
        call, end = named(name.group(1), text, name.end(), _HERMES_END, cut)
        return [call], after_closers(text, end)
    calls, end = _json(text, start, _HERMES_END, known, cut)
    if calls and (stray := _STRAY_BRACKETS.match(text, end)):
        end = stray.end()
    return calls, after_closers(text, end) if calls else end


def _function_inside(text: str, start: int, known: Known, cut: bool) -> Found:
    while start < len(text) and text[start].isspace():
        start += 1
    return function_call(text, start, known, cut)


def bare_function(text: str, match: re.Match[str], known: Known, cut: bool) -> Found:
    return function_call(text, match.start(), known, cut)


def _json(text: str, start: int, closer: re.Pattern[str], known: Known, cut: bool) -> Found:
    """One or several JSON calls up to `closer`; what is unreadable but names a known tool comes with an error."""
    values, end = sequence(text, start)
    if not values:
        closed = closer.search(text, start)
        body = text[start : closed.start() if closed else len(text)]
        if not body.lstrip().startswith(("{", "[")):
            return [], start
        end = start + len(body)
        repaired = repair_json(body)
        if repaired is None:
            return _unreadable(body, known, cut and not closed), end
        values = [repaired]
    calls = [call for value in values for call in calls_of(value, tagged=True)]
    return [call for call in calls if call.name and known(call.name)], end


def _unreadable(body: str, known: Known, cut: bool) -> list[FoundCall]:
    name = _NAMED_IN_JSON.search(body)
    if not name or not known(leading_name(name.group(1))):
        return []
    return [FoundCall(leading_name(name.group(1)), {}, parse_arguments(body, cut=cut)[1] or INVALID)]


# -- Mistral, LM Studio, Granite, Llama --------------------------------------------------------------------------------

_MISTRAL_NAME = re.compile(r"\s*([A-Za-z_][\w.-]{0,79})\s*(?:\[CALL_ID\]\w{1,40}\s*)?(?:\[ARGS\]|(?=\{))\s*")
_MISTRAL_END = re.compile(r"\s*</s>|(?=\[TOOL_CALLS\])")
_REQUEST_END = re.compile(r"\s*\[END_TOOL_REQUEST\]|(?=\[TOOL_REQUEST\])")
_GRANITE_END = re.compile(r"(?=<\|tool_call\|>)")
_LLAMA_END = re.compile(
    r"\s*<\|(?:python_end|eom_id|eot_id|tool_call_end)\|>|(?=<\|(?:python_|tool_call_start))"
)


def mistral(text: str, match: re.Match[str], known: Known, cut: bool) -> Found:
    """`[TOOL_CALLS][{…}, …]`, or `[TOOL_CALLS]name{…}` with `[ARGS]` between in later versions."""
    name = _MISTRAL_NAME.match(text, match.end())
    if not name:
        return _closed(_json(text, match.end(), _MISTRAL_END, known, cut), text, _MISTRAL_END)
    if not known(leading_name(name.group(1))):
        return [], match.end()
    call, end = named(name.group(1), text, name.end(), _MISTRAL_END, cut)
    return [call], end


def tool_request(text: str, match: re.Match[str], known: Known, cut: bool) -> Found:
    """`[TOOL_REQUEST]{…}[END_TOOL_REQUEST]`: what LM Studio asks of models without a format of their own."""
    return _closed(_json(text, match.end(), _REQUEST_END, known, cut), text, _REQUEST_END)


def granite(text: str, match: re.Match[str], known: Known, cut: bool) -> Found:
    """`<|tool_call|>[{…}]`."""
    return _json(text, match.end(), _GRANITE_END, known, cut)


def llama(text: str, match: re.Match[str], known: Known, cut: bool) -> Found:
    """`<|python_tag|>{…}; {…}`, or a Python call in its place; LFM2's `<|tool_call_start|>[f(a=1)]` alike."""
    calls, end = _closed(_json(text, match.end(), _LLAMA_END, known, cut), text, _LLAMA_END)
    if calls:
        return calls, end
    closed = _LLAMA_END.search(text, match.end())
    calls = python_calls(text[match.end() : closed.start() if closed else len(text)], known)
    return calls, (closed.end() if closed else len(text)) if calls else match.end()


def _closed(found: Found, text: str, closer: re.Pattern[str]) -> Found:
    calls, end = found
    closed = closer.match(text, end) if calls else None
    return calls, closed.end() if closed else end


# -- gpt-oss -----------------------------------------------------------------------------------------------------------

HARMONY = (
    r"(?:<\|start\|>)?(?:assistant\s?)?(?:<\|channel\|>)?(?:commentary|analysis|assistant)\s?to=[\w.]{1,80}"
)
_HARMONY_HEADER = re.compile(
    r"(?:\s?<\|channel\|>(?:commentary|analysis))?\s?(?:<\|constrain\|>)?\s?(?:json|code)?\s?(?:<\|message\|>)?\s*(?=\{)"
)
_HARMONY_END = re.compile(r"\s*<\|(?:call|end|return)\|>|(?=<\|(?:start|channel)\|>)")
_CHANNELS = re.compile(
    r"<\|start\|>assistant|<\|channel\|>\w{1,20}|<\|(?:message|end|call|return|constrain)\|>"
)


def harmony(text: str, match: re.Match[str], known: Known, cut: bool) -> Found:
    """`<|channel|>commentary to=functions.bash <|constrain|>json<|message|>{…}<|call|>`, tokens lost or not.

    Without tokens (Rapid-MLX issue 480) it must stand at the start of a line and say `functions.`.
    """
    written = match.group()
    name = written.rsplit("to=", 1)[1]
    header = _HARMONY_HEADER.match(text, match.end())
    if not header or not known(leading_name(name)):
        return [], match.end()
    line = text.rfind("\n", 0, match.start()) + 1
    plain = "<|" not in written + header.group()
    if plain and (text[line : match.start()].strip() or not name.startswith("functions.")):
        return [], match.end()
    call, end = named(name, text, header.end(), _HARMONY_END, cut)
    return [call], end


def without_channels(text: str) -> str:
    """What was said around a harmony call. The model's template refuses a history that holds its own tokens."""
    return _CHANNELS.sub("", text)


# -- Kimi, DeepSeek ----------------------------------------------------------------------------------------------------

_SEPARATOR = r"<[｜|]tool[▁_](?:sep|call[▁_]argument[▁_]begin)[｜|]>"
SECTION = r"(?:<[｜|]tool[▁_]calls(?:[▁_]section)?[▁_]begin[｜|]>\s*)?<[｜|]tool[▁_]call[▁_]begin[｜|]>"
_SECTION_HEADER = re.compile(
    rf"\s*(?:function{_SEPARATOR}\s*)?([A-Za-z_][\w.:-]{{0,99}})\s*(?:{_SEPARATOR}\s*|(?=[`{{]))(?:```(?:json)?\s*)?"
)
_SECTION_END = re.compile(
    r"\s*(?:```\s*)?<[｜|]tool[▁_]call[▁_]end[｜|]>\s*(?:<[｜|]tool[▁_]calls(?:[▁_]section)?[▁_]end[｜|]>)?"
    r"|(?=<[｜|]tool[▁_]call[▁_]begin)"
)


def section(text: str, match: re.Match[str], known: Known, cut: bool) -> Found:
    """Kimi K2: `<|tool_call_begin|>functions.bash:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`. DeepSeek V3:
    `<｜tool▁call▁begin｜>function<｜tool▁sep｜>bash`, a fence of JSON; V3.1 leaves out `function` and the fence.
    """
    header = _SECTION_HEADER.match(text, match.end())
    if not header or not known(leading_name(header.group(1))):
        return [], match.end()
    call, end = named(header.group(1), text, header.end(), _SECTION_END, cut)
    return [call], end


# -- Gemma 4 -----------------------------------------------------------------------------------------------------------

_GEMMA_NAME = re.compile(r"([A-Za-z_][\w.-]{0,79})\s*\{")
_GEMMA_KEY = re.compile(r"\s*,?\s*[\"']?(\w{1,80})[\"']?\s*:\s*")
_GEMMA_WORD = re.compile(r"[\w./-]{1,200}(?=\s*[,}])")
_GEMMA_QUOTE = '<|"|>'
_GEMMA_END = re.compile(r"\s*\}\s*(?:<tool_call\|>)?")
_GEMMA_NEXT = re.compile(r"(?=<\|tool_call>)")


def gemma(text: str, match: re.Match[str], known: Known, cut: bool) -> Found:
    """`<|tool_call>call:bash{command:<|"|>ls<|"|>}<tool_call|>`: keys bare, strings between tokens of their own."""
    name = _GEMMA_NAME.match(text, match.end())
    if not name or not known(leading_name(name.group(1))):
        return [], match.end()
    arguments: dict[str, Any] = {}
    position = name.end()
    while key := _GEMMA_KEY.match(text, position):
        value, position = _gemma_value(text, key.end())
        if not position:
            break
        arguments[key.group(1)] = value
    if position and (closed := _GEMMA_END.match(text, position)):
        return [FoundCall(leading_name(name.group(1)), arguments)], closed.end()
    after = _GEMMA_NEXT.search(text, name.end())
    end = after.start() if after else len(text)
    error = CUT_OFF if cut and not after else INVALID
    return [FoundCall(leading_name(name.group(1)), {}, error)], end


def _gemma_value(text: str, start: int) -> tuple[Any, int]:
    """The value and its end; 0 where there is none."""
    if text.startswith(_GEMMA_QUOTE, start):
        begin = start + len(_GEMMA_QUOTE)
        end = text.find(_GEMMA_QUOTE, begin)
        return text[begin:end], end + len(_GEMMA_QUOTE) if end >= 0 else 0
    value, end = decode_json(text, start)
    if end:
        return value, end
    word = _GEMMA_WORD.match(text, start)
    return (word.group(), word.end()) if word else (None, 0)
