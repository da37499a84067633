"""Unified diffs as rows, and rows as lines: one column or two, with the changed words marked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from coder.transcript.line import Line, Look, Segment, crop, width_of, wrap
from coder.transcript.safe import visible

MAX_ROWS = 20_000
"""Of one diff; more are not even counted."""
MAX_LINE = 2_000
"""Characters of one line; the rest is left out, with a sign."""
_MAX_TOKENS = 200
_ALIKE = 0.5
"""Two lines less alike than this are a rewrite: marking their words would only be noise."""
_AHEAD = 4
"""Added lines in which a removed one's new form is looked for."""
_LONG_RUN = 40
"""Lines removed or added at once in which no new forms are looked for: that is a rewrite too."""

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Row:
    """`sign` is a blank, `+` or `-` for a file's lines; `@` for a hunk, `f` for a file, `~` for what git says."""

    sign: str
    text: str
    old: int = 0
    new: int = 0


def parse(diff: str) -> list[Row]:
    """The rows of a unified diff. Counts of hunks are believed before looks: a removed `-- x` is no header."""
    rows: list[Row] = []
    old = new = old_left = new_left = 0
    for line in diff.removesuffix("\n").split("\n")[:MAX_ROWS]:
        text = line[:MAX_LINE] + "…" * (len(line) > MAX_LINE)
        sign = text[:1] or " "
        if (old_left > 0 or new_left > 0) and sign in " +-":
            rows.append(Row(sign, text[1:], old * (sign != "+"), new * (sign != "-")))
            old, old_left = old + (sign != "+"), old_left - (sign != "+")
            new, new_left = new + (sign != "-"), new_left - (sign != "-")
        elif hunk := _HUNK.match(text):
            old, new = _number(hunk[1]), _number(hunk[3])
            old_left, new_left = _number(hunk[2] or "1"), _number(hunk[4] or "1")
            rows.append(Row("@", text))
        elif text.startswith("+++ "):
            rows.append(Row("f", _path(text[4:])))
        elif text and not text.startswith(("--- ", "diff --git ", "index ")):
            rows.append(Row("~", text))
    return rows


def _number(digits: str) -> int:
    return int(digits[:9])


def _path(name: str) -> str:
    return name.split("\t")[0].removeprefix("b/") if name != "/dev/null" else "(deleted)"


def counts(rows: Sequence[Row]) -> tuple[int, int]:
    """Lines added and removed."""
    return sum(row.sign == "+" for row in rows), sum(row.sign == "-" for row in rows)


def draw(rows: Sequence[Row], width: int, look: Look, *, files: bool = True) -> list[Line]:
    """The rows as lines; without `files` the names of files are left out."""
    shown = [row for row in rows if files or row.sign != "f"]
    if look.split and look.split <= width < 10_000:
        return _split(shown, width)
    numbers = width >= look.numbers
    digits = len(str(max((max(row.old, row.new) for row in shown), default=0)))
    lines: list[Line] = []
    for row, parts in zip(shown, _marked(shown), strict=True):
        lines += _one(row, parts, width, digits if numbers else 0)
    return lines


def _one(row: Row, parts: Line, width: int, digits: int) -> list[Line]:
    if row.sign in "@f~":
        style = {"@": "hunk", "f": "path", "~": "dim"}[row.sign]
        return [crop(((visible(row.text).replace("\n", " "), style),), width)]
    style = {"+": "added", "-": "removed"}.get(row.sign, "context")
    number = f"{row.new or row.old:>{digits}} " if digits else ""
    first: Line = ((number, "dim"), (f"{row.sign} ", style)) if digits else ((f"{row.sign} ", style),)
    rest: Line = ((" " * (len(number) + 2), "dim"),)
    return wrap(parts, width, first, rest, words=False)


def _marked(rows: Sequence[Row]) -> Iterator[Line]:
    """Each row's text in styles: words that differ between a removed line and its successor stand out."""
    place = 0
    while place < len(rows):
        removed = _run(rows, place, "-")
        added = _run(rows, place + len(removed), "+")
        if not removed and not added:
            yield ((_shown(rows[place]), "context"),)
            place += 1
            continue
        before = [((_shown(row), "removed"),) for row in removed]
        after = [((_shown(row), "added"),) for row in added]
        marked: tuple[dict[int, Line], dict[int, Line]] = {}, {}
        for old, new in _partners(removed, added):
            marked[0][old], marked[1][new] = _words(_shown(removed[old]), _shown(added[new]))
        yield from (marked[0].get(number, line) for number, line in enumerate(before))
        yield from (marked[1].get(number, line) for number, line in enumerate(after))
        place += len(removed) + len(added)


def _run(rows: Sequence[Row], begin: int, sign: str) -> Sequence[Row]:
    end = begin
    while end < len(rows) and rows[end].sign == sign:
        end += 1
    return rows[begin:end]


def _shown(row: Row) -> str:
    return visible(row.text.rstrip("\r")).replace("\n", " ")


def _partners(removed: Sequence[Row], added: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Which added line is the new form of which removed one: the likest of the next few, in order."""
    if max(len(removed), len(added)) > _LONG_RUN:
        return
    begin = 0
    words = [_tokens(_shown(row)) for row in added]
    for old, row in enumerate(removed):
        before = _tokens(_shown(row))
        likeness = [
            (_likeness(before, words[new]), -new) for new in range(begin, min(begin + _AHEAD, len(added)))
        ]
        best, place = max(likeness, default=(0.0, 0))
        if best >= _ALIKE:
            yield old, -place
            begin = 1 - place


def _tokens(text: str) -> list[str]:
    return [word for word in _WORDS.findall(text) if not word.isspace()]


def _likeness(old: list[str], new: list[str]) -> float:
    """From 0 to 1, of words alone; lines of very many words are not compared."""
    if not old or not new or max(len(old), len(new)) > _MAX_TOKENS:
        return 0.0
    return SequenceMatcher(None, old, new, autojunk=False).ratio()


def _words(before: str, after: str) -> tuple[Line, Line]:
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    removed: list[Segment] = []
    added: list[Segment] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        mark = "" if kind == "equal" else ".word"
        if b > a:
            removed.append(("".join(old[a:b]), f"removed{mark}"))
        if d > c:
            added.append(("".join(new[c:d]), f"added{mark}"))
    return tuple(removed), tuple(added)


def _split(rows: Sequence[Row], width: int) -> list[Line]:
    """Before on the left, after on the right."""
    half = (width - 3) // 2
    digits = len(str(max((max(row.old, row.new) for row in rows), default=0)))
    parts = list(_marked(rows))
    lines: list[Line] = []
    place = 0
    while place < len(rows):
        row = rows[place]
        removed = _run(rows, place, "-")
        added = _run(rows, place + len(removed), "+")
        if row.sign in "@f~":
            lines += _one(row, parts[place], width, digits)
            place += 1
            continue
        if not removed and not added:
            lines += _beside(
                _side(row, row.old, parts[place], half, digits),
                _side(row, row.new, parts[place], half, digits),
                half,
            )
            place += 1
            continue
        for number, (a, b) in enumerate(zip_longest(removed, added)):
            left = _side(a, a.old, parts[place + number], half, digits) if a else []
            right = _side(b, b.new, parts[place + len(removed) + number], half, digits) if b else []
            lines += _beside(left, right, half)
        place += len(removed) + len(added)
    return lines


def _side(row: Row, number: int, parts: Line, width: int, digits: int) -> list[Line]:
    style = {"+": "added", "-": "removed"}.get(row.sign, "context")
    first: Line = ((f"{number:>{digits}} ", "dim"), (f"{row.sign} ", style))
    return wrap(parts, width, first, ((" " * (digits + 3), "dim"),), words=False)


def _beside(left: list[Line], right: list[Line], half: int) -> list[Line]:
    return [
        (*(a or ()), (" " * (half - width_of(a or ())), "text"), (" │ ", "rule"), *(b or ()))
        for a, b in zip_longest(left, right)
    ]
