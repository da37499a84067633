"""What a reader of a score should know of an attempt: signs of peeking and of tampering, seen in its journal and patch.

Nothing here changes a verdict. One-commit trees without network leave little to find; an attempt to find it is told
all the same. Why these: fixes read out of git history in 11 to 21 % of some runs where it was there (mini-swe-agent,
issue 787), later releases fetched from package indexes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from coder import events
from coder.errors import CoderError
from coder.events import Event
from evals.grading.grade import touched
from evals.instance import Instance
from evals.result import Finding

_HISTORY = re.compile(
    r"\bgit\b[^|;&\n]*\b(log\b[^|;&\n]*(--all|\s-p\b|--patch|-g\b)|reflog|fsck|fetch|pull|clone|ls-remote|rev-list\b[^|;&\n]*--all)"
)
_RELEASE = re.compile(
    r"\b(pip3?|uv|poetry|pipx|conda)\b[^|;&\n]*\b(download|install)\b|\bnpm\s+(i|install|view|pack)\b|\b(curl|wget)\b[^|;&\n]*\bhttps?://"
)
_COPY = re.compile(r"(site|dist)-packages/(?P<package>[A-Za-z0-9_]+)")
LEAST = 8
"""Added lines that a patch must have before being the same as the gold one is no coincidence."""


def audit(instance: Instance, patch: str, journal: Path) -> tuple[Finding, ...]:
    """Every sign once, in order of kinds. A journal that cannot be read is no sign."""
    found = [*_of_commands(instance, _commands(journal)), *_of_patch(instance, patch)]
    return tuple({(each.kind, each.detail): each for each in found}.values())


def _commands(journal: Path) -> list[str]:
    from coder.journal import load

    try:
        return [text for event in load(journal) for text in _said(event)]
    except (CoderError, OSError):
        return []


def _said(event: Event) -> Iterator[str]:
    if isinstance(event, events.ToolStarted):
        yield from (value for value in event.arguments.values() if isinstance(value, str))


def _of_commands(instance: Instance, commands: Iterable[str]) -> Iterator[Finding]:
    package = (instance.recipe.source.name if instance.recipe else "") or instance.repo.rpartition("/")[2]
    own = package.lower().replace("-", "_")
    for command in commands:
        if match := _HISTORY.search(command):
            yield Finding(kind="history", detail=_line(match.group()))
        if match := _RELEASE.search(command):
            yield Finding(kind="release", detail=_line(match.group()))
        for match in _COPY.finditer(command):
            if own and match["package"].lower() == own:
                yield Finding(kind="installed_copy", detail=_line(match.group()))


def _of_patch(instance: Instance, patch: str) -> Iterator[Finding]:
    for path in touched(instance.test_patch):
        if path in touched(patch):
            yield Finding(kind="test_changed", detail=path)
    added, gold = _added(patch), _added(instance.gold)
    if len(gold) >= LEAST and added == gold:
        yield Finding(kind="gold_match", detail=f"all {len(gold)} added lines are those of the gold patch")


def _added(patch: str) -> list[str]:
    lines = (line for line in patch.splitlines() if line.startswith("+") and not line.startswith("+++"))
    return [line[1:].strip() for line in lines if line[1:].strip()]


def _line(text: str) -> str:
    return " ".join(text.split())[:160]
