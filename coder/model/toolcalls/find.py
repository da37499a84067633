"""Tool calls that a server left in the text, in the syntax of whichever model wrote them.

Nothing fires on text that merely shows such a call: the name must be a known tool, the arguments an object, tags must
not stand in quoted code, and JSON must end the message.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from coder.model.toolcalls import as_tokens
from coder.model.toolcalls.arguments import leading_name, repair_arguments
from coder.model.toolcalls.as_json import FoundCall, calls_of, loads, sequence
from coder.model.toolcalls.as_markup import FUNCTION, WRAPPER
from coder.model.toolcalls.as_python import python_calls

__all__ = ["FoundCall", "KnownTools", "extract", "find_calls", "find_calls_at_end"]

KnownTools = Callable[[str], bool]
_TAG_CAP, _START_CAP = 256, 10  # no model means more; hostile text must not cost more

_READERS = {
    "wrapped": (rf"(?:<{WRAPPER}>\s*)+", as_tokens.wrapped),
    "function": (FUNCTION, as_tokens.bare_function),
    "mistral": (r"\[TOOL_CALLS\]", as_tokens.mistral),
    "request": (r"\[TOOL_REQUEST\]", as_tokens.tool_request),
    "granite": (r"<\|tool_call\|>", as_tokens.granite),
    "llama": (r"<\|(?:python_(?:tag|start)|tool_call_start)\|>", as_tokens.llama),
    "section": (as_tokens.SECTION, as_tokens.section),
    "gemma": (r"<\|tool_call>\s*call:", as_tokens.gemma),
    "harmony": (as_tokens.HARMONY, as_tokens.harmony),
}
_TAG = re.compile("|".join(f"(?P<{name}>{opening})" for name, (opening, _) in _READERS.items()))
# What models write when they go on past their call: the answer that they expect, or the next turn.
_INVENTED = re.compile(
    r"<tool_(?:response|result|output)s?>|<function_results?>|<\|(?:im_start|im_end|observation|eot_id|eom_id)\|>"
    r"|<[｜|]tool[▁_]outputs?[▁_]begin[｜|]>|\[TOOL_RESULTS\]|<\|start\|>functions|<｜end▁of▁sentence｜>|</s>"
)
_LAST_FENCE = re.compile(
    r"(?:^|\n)[ \t]*```(?P<language>[a-z_]*)[ \t]*\n(?![ \t]*```)(?P<body>(?:(?!\n[ \t]*```).)*)\n[ \t]*```\s*\Z",
    re.DOTALL,
)
_FENCE = re.compile(r"^[ \t]*```([^\n]*)", re.MULTILINE)
_EMPTY_FENCE = re.compile(r"```[a-z_]*\s*```\s*\Z")
_OPEN_FENCE = re.compile(r"(?:^|\n)[ \t]*```[a-z_]*[ \t]*\n?\Z")
_CALL_FENCES = frozenset(
    (
        "",
        "xml",
        "json",
        "text",
        "txt",
        "plaintext",
        "tool",
        "tools",
        "tool_call",
        "tool_calls",
        "tool_code",
        "function",
    )
)
"""Languages of a fence that may hold a call in tags; code that shows one names its own."""
_SHOWN_BEFORE = ("'", '"', "`", "(", "=", "\\", "+", "#", "//", "|")
_QUOTING_LINES = (">", "+", "-", "*", "#", "//", "|")


class _Scan(NamedTuple):
    """Text without its calls: before the first one, and everything else."""

    before: str
    after: str
    calls: list[FoundCall]

    @property
    def remaining(self) -> str:
        return _EMPTY_FENCE.sub("", self.before + self.after).rstrip()


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
    scan = _scan(text, known_tools, cut)
    return (scan.remaining, scan.calls) if scan.calls else (text, [])


def find_calls_at_end(
    text: str, known_tools: KnownTools, *, cut: bool = False
) -> tuple[str, list[FoundCall]]:
    """The same, but only when nothing is said after the calls: a thought may weigh a call and drop it."""
    scan = _scan(text.rstrip() + "\n", known_tools, cut)
    if scan.calls and not scan.after.strip("` \t\n"):
        return scan.remaining, scan.calls
    return text, []


def _scan(text: str, known_tools: KnownTools, cut: bool) -> _Scan:
    scan = _tagged(text, known_tools, cut)
    if not scan.calls:
        scan = _json_at_end(text, known_tools)
    return scan._replace(calls=_without_repetition(scan.calls))


def _without_repetition(calls: list[FoundCall]) -> list[FoundCall]:
    """A model that writes the same call twice means it once: doing an insertion twice is never meant."""
    return [call for index, call in enumerate(calls) if call not in calls[:index]]


# -- tags ------------------------------------------------------------------------------------------------------------


def _tagged(text: str, known_tools: KnownTools, cut: bool) -> _Scan:
    calls: list[FoundCall] = []
    kept: list[str] = []
    position = 0
    quotes = _Quotes(text)
    harmony = False
    for match in islice(_TAG.finditer(text), _TAG_CAP):
        if match.start() < position or quotes.hold(match.start(), position):
            continue
        if calls and _INVENTED.search(text, position, match.start()):
            break
        _, reader = _READERS[match.lastgroup or ""]
        found, end = reader(text, match, known_tools, cut)
        if found and not _is_mention(text, match.start(), end):
            kept.append(text[position : match.start()])
            calls += found
            position = end
            harmony = harmony or match.lastgroup == "harmony"
    kept.append(_INVENTED.split(text[position:], maxsplit=1)[0])
    if harmony:
        kept = [as_tokens.without_channels(part) for part in kept]
    return _Scan(kept[0], "".join(kept[1:]), calls)


def _is_mention(text: str, start: int, end: int) -> bool:
    """Whether the call stands inside a sentence: words before and after it on its line."""
    end = start + len(text[start:end].rstrip())
    line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    before, after = (
        text[line_start:start].strip(),
        text[end : line_end if line_end >= 0 else len(text)].strip(),
    )
    return bool(before and after) and not after.startswith("<")


class _Quotes:
    """Tells what stands in quotes, in inline code, or in a fenced block that shows code."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._fences = list(_FENCE.finditer(text))
        self._starts = [fence.start() for fence in self._fences]

    def hold(self, position: int, since: int = 0) -> bool:
        """Whether this position is quoted; fences before `since` belonged to a call and do not count."""
        line = self._text[self._text.rfind("\n", 0, position) + 1 : position]
        if line.count("`") % 2 or line.endswith(_SHOWN_BEFORE) or line.strip() in _QUOTING_LINES:
            return True
        before = bisect(self._starts, position)
        if (before - bisect(self._starts, since - 1)) % 2 == 0:
            return False
        if self._fences[before - 1].group(1).strip().lower() not in _CALL_FENCES:
            return True
        return before < len(self._starts) and bool(self._text[self._starts[before] :].lstrip("` \t").strip())


# -- JSON ------------------------------------------------------------------------------------------------------------


def _json_at_end(text: str, known_tools: KnownTools) -> _Scan:
    """Calls in fenced blocks that end the message (several in a row), or bare JSON that ends it."""
    invented = _INVENTED.search(text)
    remaining = (text[: invented.start()] if invented else text).rstrip()
    calls: list[FoundCall] = []
    while fence := _LAST_FENCE.search(remaining):
        found = _in_fence(fence, known_tools)
        if not found:
            break
        calls = found + calls
        remaining = remaining[: fence.start()].rstrip()
    if calls:
        return _Scan(remaining, "", calls)
    for start in _json_starts(remaining):
        values, end = sequence(remaining, start)
        if not values and (literal := repair_arguments(remaining[start:])) is not None:
            values, end = [literal], len(remaining)
        found = _all_known(values, known_tools) if end == len(remaining) else []
        if found:
            return _Scan(_OPEN_FENCE.sub("", remaining[:start]).rstrip(), "", found)
    if found := _whole_message(remaining, known_tools):
        return _Scan("", "", found)
    return _Scan(text, "", [])


def _in_fence(fence: re.Match[str], known_tools: KnownTools) -> list[FoundCall]:
    if fence["language"] == "tool_code":
        return python_calls(fence["body"], known_tools)
    value = loads(fence["body"])
    return _all_known(value if isinstance(value, list) else [value], known_tools)


def _whole_message(text: str, known_tools: KnownTools) -> list[FoundCall]:
    """GLM-4's name on a line above its arguments, or Llama's list of Python calls, and nothing else."""
    name, _, rest = text.strip().partition("\n")
    if leading_name(name) == name and name and rest.lstrip().startswith("{") and known_tools(name):
        values, end = sequence(rest, 0)
        if len(values) == 1 and isinstance(values[0], dict) and not rest[end:].strip():
            return [FoundCall(name, values[0])]
    return python_calls(text, known_tools) if text.lstrip().startswith("[") else []


def _json_starts(text: str) -> list[int]:
    """Line starts that open an object or a list; none when the text does not end in one."""
    if not text.endswith(("}", "]")):
        return []
    starts = [match.end() - 1 for match in re.finditer(r"^[ \t]*[{\[]", text, re.MULTILINE)]
    quotes = _Quotes(text)
    return [start for start in islice(starts, _START_CAP) if not quotes.hold(start)]


def _all_known(values: list[object], known_tools: KnownTools) -> list[FoundCall]:
    """The calls in JSON values; none at all when part of them is something else."""
    calls = [call for value in values for call in calls_of(value, tagged=False)]
    return calls if calls and all(call.name and known_tools(call.name) for call in calls) else []
