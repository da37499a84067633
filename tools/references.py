"""Where names are still used: a whole-word search over the workspace."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tools.base import Context
from tools.ripgrep import hits

_PLACES = 3


async def references(context: Context, names: Sequence[str]) -> dict[str, list[str]]:
    """For each name that occurs as a word anywhere: up to three places, `path:line`."""
    if not names:
        return {}
    patterns = [argument for name in names for argument in ("-e", name)]
    options = ("--fixed-strings", "--word-regexp", "--max-count=20", "--glob", "!.git")
    _, found = await hits(context, [*options, *patterns, "--", "."])
    places: dict[str, list[str]] = {}
    for name in names:
        word = re.compile(rf"\b{re.escape(name)}\b")
        using = [f"{hit.path}:{hit.line}" for hit in found if word.search(hit.text)]
        if using:
            more = [f"{len(using) - _PLACES} more"] if len(using) > _PLACES else []
            places[name] = using[:_PLACES] + more
    return places
