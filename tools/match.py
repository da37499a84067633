"""Where a text that a model wants replaced stands in a file: exactly once, or the nearest to it, never a guess."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

_UNITS = (4, 2, 8, 3)
_NUMBERED = re.compile(r"^ *\d+\t")
_WORDS = re.compile(r"\w+")
_TOKENS = re.compile(r"\w+|[^\w\s]")
_SIMILAR = 0.5
"""Below this likeness the nearest text would mislead."""


@dataclass(frozen=True, slots=True)
class Match:
    """Characters `start` to `end` are to become `replacement`; `note` says what was adapted to get there."""

    start: int
    end: int
    replacement: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Miss:
    reason: str


def locate(text: str, old: str, new: str) -> Match | Miss:
    """Find the one place of `old`; failing that, the one place that differs only in white space."""
    exact = _occurrences(text, old)
    if len(exact) == 1:
        return Match(exact[0], exact[0] + len(old), new)
    if exact:
        return _ambiguous([text.count("\n", 0, at) + 1 for at in exact])
    found = _by_lines(text, old, new)
    if found is None and _is_numbered(old):
        found = locate(text, _without_numbers(old), _without_numbers(new))
        if isinstance(found, Match):
            return Match(found.start, found.end, found.replacement, "line numbers in old_str ignored")
    return found or Miss(_explain_miss(text, old, new))


def _occurrences(text: str, old: str) -> list[int]:
    places, at = [], text.find(old)
    while at >= 0:
        places.append(at)
        at = text.find(old, at + len(old))
    return places


def _ambiguous(numbers: list[int]) -> Miss:
    shown = ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
    return Miss(
        f"old_str occurs {len(numbers)} times (lines {shown}); add neighbouring lines to make it unique."
    )


def _by_lines(text: str, old: str, new: str) -> Match | Miss | None:
    """Match whole lines that agree once the white space at their ends is ignored."""
    wanted, replacing = _trimmed(old, new)
    lines = text.split("\n")
    places = _windows([line.strip() for line in lines], [line.strip() for line in wanted])
    if len(places) > 1:
        places = [at for at in places if _same_indents(wanted, lines[at:])] or places
    if len(places) > 1:
        return _ambiguous([at + 1 for at in places])
    if not places:
        return None
    at = places[0]
    block = lines[at : at + len(wanted)]
    shift = _shift(wanted, block)
    if shift is None:
        return None
    reindented = [shift.apply(line, first=index == 0) for index, line in enumerate(replacing)]
    if None in reindented:
        return None
    ending = "\r" if block[0].endswith("\r") else ""
    start = sum(len(line) + 1 for line in lines[:at])
    end = start + len("\n".join(block))
    if not reindented:
        return Match(start, min(end + 1, len(text)), "", shift.note)
    return Match(start, end, "\n".join(f"{line}{ending}" for line in reindented), shift.note)


def _trimmed(old: str, new: str) -> tuple[list[str], list[str]]:
    """Both as lines, without the blank lines around `old`; as many go from `new`."""
    wanted = [line.rstrip("\r") for line in old.split("\n")]
    replacing = [line.rstrip("\r") for line in new.split("\n")] if new else []
    for side in (0, -1):
        while wanted and not wanted[side].strip():
            wanted.pop(side)
            if replacing and not replacing[side].strip():
                replacing.pop(side)
    return wanted, replacing


def _windows(lines: list[str], wanted: list[str]) -> list[int]:
    if not wanted:
        return []
    starts = range(len(lines) - len(wanted) + 1)
    return [at for at in starts if lines[at] == wanted[0] and lines[at : at + len(wanted)] == wanted]


@dataclass(frozen=True, slots=True)
class _Shift:
    note: str
    change: Callable[[str], str | None]
    """Maps an indentation as the model wrote it to the file's, or None when there is no such."""
    only_first: bool = False

    def apply(self, line: str, *, first: bool) -> str | None:
        if not line.strip():
            return ""
        if self.only_first and not first:
            return line
        changed = self.change(_indent(line))
        return None if changed is None else changed + line.lstrip(" \t")


def _shift(wanted: list[str], block: list[str]) -> _Shift | None:
    """The one change of indentation that turns `wanted` into `block`."""
    pairs = [(_indent(a), _indent(b)) for a, b in zip(wanted, block, strict=True) if a.strip()]
    candidates = [_Shift("trailing white space ignored", lambda indent: indent), *_uniform(*pairs[0])]
    for shift in candidates:
        if all(shift.change(mine) == theirs for mine, theirs in pairs):
            return shift
    first, theirs = pairs[0]
    if all(mine == other for mine, other in pairs[1:]) and theirs.endswith(first):
        missing = theirs[: len(theirs) - len(first)]
        return _Shift("first line indented as in the file", lambda indent: missing + indent, only_first=True)
    return None


def _uniform(mine: str, theirs: str) -> list[_Shift]:
    shifts = []
    if theirs.endswith(mine):
        more = theirs[: len(theirs) - len(mine)]
        note = f"block stands {len(more)} columns further right in the file; new_str indented to match"
        shifts.append(_Shift(note, lambda indent: more + indent))
    if mine.endswith(theirs):
        less = mine[: len(mine) - len(theirs)]
        note = f"block stands {len(less)} columns further left in the file; new_str indented to match"
        shifts.append(_Shift(note, lambda indent: indent[len(less) :] if indent.startswith(less) else None))
    return [*shifts, *(_tabs(unit) for unit in _UNITS), *(_spaces(unit) for unit in _UNITS)]


def _tabs(unit: int) -> _Shift:
    def change(indent: str) -> str:
        return "\t" * (len(indent) // unit) + " " * (len(indent) % unit)

    return _Shift("the file indents with tabs; new_str changed to match", change)


def _spaces(unit: int) -> _Shift:
    note = f"the file indents with {unit} spaces; new_str changed to match"
    return _Shift(note, lambda indent: indent.replace("\t", " " * unit))


def _same_indents(wanted: list[str], lines: list[str]) -> bool:
    return all(_indent(a) == _indent(b) for a, b in zip(wanted, lines, strict=False) if a.strip())


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _is_numbered(old: str) -> bool:
    return all(_NUMBERED.match(line) for line in old.split("\n") if line.strip()) and bool(old.strip())


def _without_numbers(text: str) -> str:
    return "\n".join(_NUMBERED.sub("", line) for line in text.split("\n"))


def _explain_miss(text: str, old: str, new: str) -> str:
    reason = "old_str is not in the file."
    if new.strip() and len(_occurrences(text, new)) == 1:
        return f"{reason} new_str already is, at line {text.count(chr(10), 0, text.find(new)) + 1}."
    near = nearest(text, old)
    if near is None:
        return f"{reason} Nothing there resembles it."
    start, lines, likeness = near
    shown = "\n".join(f"{start + index:>6}\t{line[:300]}" for index, line in enumerate(lines[:12]))
    return f"{reason} The nearest text ({likeness:.0%} alike) is:\n{shown}"


def nearest(text: str, old: str) -> tuple[int, list[str], float] | None:
    """The lines most like `old`: number of the first (from 1), the lines, likeness from 0 to 1."""
    wanted, _ = _trimmed(old, "")
    wanted, lines = wanted[:40], text.split("\n")[:100_000]
    if not wanted or not text:
        return None
    target = _tokens(wanted)
    best: tuple[int, list[str], float] | None = None
    for at in _promising(lines, wanted):
        block = lines[at : at + len(wanted)]
        likeness = difflib.SequenceMatcher(None, _tokens(block), target, autojunk=False).ratio()
        if likeness >= _SIMILAR and (best is None or likeness > best[2]):
            best = (at + 1, block, likeness)
    return best


def _tokens(lines: list[str]) -> list[str]:
    return _TOKENS.findall("\n".join(lines)[:4_000])[:400]


def _promising(lines: list[str], wanted: list[str]) -> list[int]:
    """Starts of the windows that share most words with `wanted`, best first."""
    parts = [set(_WORDS.findall(line)) for line in wanted]
    every = set().union(*parts)
    shares: dict[str, list[tuple[int, float]]] = {}
    votes: dict[int, float] = {}
    for index, line in enumerate(lines):
        if line not in shares:
            own = set(_WORDS.findall(line[:500]))
            related = enumerate(parts) if own & every else ()
            shares[line] = [(at, len(own & part) / len(own | part)) for at, part in related if own & part]
        for offset, share in shares[line]:
            start = max(0, index - offset)
            votes[start] = votes.get(start, 0.0) + share
    return sorted(votes, key=lambda start: (-votes[start], start))[:5]
