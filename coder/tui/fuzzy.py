"""Fuzzy matching: the letters of a query in order, better where they begin words."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest

BOUNDARY = "/_-. "
MAX_QUERY = 64


def best(query: str, candidates: Iterable[str], count: int) -> list[str]:
    """The `count` best of `candidates`, best first; all are equal to an empty query, and keep their order."""
    query = query[:MAX_QUERY].casefold()
    scored = ((score(query, text), -place, text) for place, text in enumerate(candidates))
    return [text for _, _, text in nlargest(count, (entry for entry in scored if entry[0] is not None))]


def score(query: str, text: str) -> float | None:
    """How well `text` fits `query` (lower case); None when a letter is missing. Linear in the text."""
    if not query:
        return 0.0
    lower = text.casefold()
    if not _contains(query, lower):
        return None
    name = lower.rfind("/") + 1
    for start, bonus in ((name, 20.0), (0, 0.0)):
        found = lower.find(query, start)
        if found >= 0:
            begins = 10.0 if found == start or lower[found - 1] in BOUNDARY else 0.0
            return 100.0 + bonus + begins - len(text) / 100
    return _scattered(query, lower) - len(text) / 100


def _contains(query: str, text: str) -> bool:
    letters = iter(text)
    return all(letter in letters for letter in query)


def _scattered(query: str, text: str) -> float:
    """Points for letters that follow each other or begin a word."""
    points, at = 0.0, -1
    for letter in query:
        found = text.find(letter, at + 1)
        if found < 0:
            return 0.0
        points += 3.0 if found == at + 1 else 2.0 if text[found - 1] in BOUNDARY else 0.0
        at = found
    return points
