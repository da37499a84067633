"""Gates on the change itself: it parses, it is no larger than it must be, it holds no secret and nothing that runs later."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from coder.workflows.evidence import Gate
from coder.workflows.gates.secret import secrets_in
from coder.workflows.gates.source import ChangedFile, Hunk
from coder.workflows.gates.tests import some
from coder.workflows.targets import is_test

_LEFTOVER = re.compile(
    r".*(?:\.orig|\.rej|\.bak|\.swp|\.swo|\.pyc|\.tmp|~)|\.DS_Store|nohup\.out|core(?:\.\d+)?|.*\.log",
    re.IGNORECASE,
)
"""Names of what editors, patch and shells leave."""
_SCRATCH = re.compile(
    r"(?:re?pro(?:duce|duction)?|debug|scratch|tmp|temp|foo|try_?it|verify|check|fix|patch|apply|demo|example)"
    r"[\w.-]*\.(?:py|js|ts|sh|txt|md)|test\.(?:py|js|sh)|.*\.(?:patch|diff)",
    re.IGNORECASE,
)
"""Names that people and models give to what they try out."""
_LAYOUT = re.compile(r"[\s'\"`,;()\\]+")
REFORMATTED_LINES = 10
"""So many lines must differ in layout alone before it counts; below it, it may be the fix's own neighbourhood."""


def parses(files: Sequence[ChangedFile]) -> Gate:
    """Python files that parsed before still parse, and new ones parse."""
    python = [file for file in files if file.path.endswith(".py") and file.new is not None]
    broken = [file.path for file in python if _breaks(file)]
    if broken:
        return Gate("parses", False, f"does not parse: {some(broken)}")
    return Gate("parses", True, "every changed Python file parses")


def minimal(files: Sequence[ChangedFile], task: str, *, strict: bool) -> Gate:
    """No stray file came along, and, when `strict`, no file was laid out anew and nothing that was only tried out
    is left. A file that `task` names is no stray."""
    stray = [file.path for file in files if file.old is None and _is_stray(file.path, task, strict=strict)]
    if stray:
        return Gate("minimal", False, f"stray files: {some(stray)}")
    for file in files if strict else ():
        changed, layout = _changed_lines(file.hunks())
        if layout >= REFORMATTED_LINES and 2 * layout > changed:
            return Gate(
                "minimal",
                False,
                f"{file.path} was reformatted: {layout} of {changed} lines differ in layout only",
            )
    lines = sum(_changed_lines(file.hunks())[0] for file in files)
    return Gate(
        "minimal",
        True,
        f"{lines} changed line{'s' * (lines != 1)} in {len(files)} file{'s' * (len(files) != 1)}",
    )


def no_secrets(files: Sequence[ChangedFile]) -> Gate:
    """No added line looks like a key or a password. What was found is named, never shown."""
    found = [
        f"{file.path}:{number} ({kind})"
        for file in files
        for number, line in file.added()
        for kind in secrets_in(line)
        if not is_test(file.path)
    ]
    if found:
        return Gate("no-secrets", False, f"looks like a secret: {some(found)}")
    return Gate("no-secrets", True, "no added line looks like a secret")


def runs_nothing_later(flagged: Sequence[str], *, allowed: bool) -> Gate:
    """No file that runs by itself on somebody's machine, unless the user `allowed` it."""
    if not flagged:
        return Gate("runs-nothing-later", True, "no changed file runs by itself later")
    if allowed:
        return Gate("runs-nothing-later", True, f"allowed by the user: {some(flagged)}")
    return Gate(
        "runs-nothing-later",
        False,
        f"runs later without being asked: {some(flagged)} (--allow-runs-later lets such files pass)",
    )


def _breaks(file: ChangedFile) -> bool:
    if file.new is None or _parses(file.new):
        return False
    return file.old is None or _parses(file.old)


def _parses(source: bytes) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_stray(path: str, task: str, *, strict: bool) -> bool:
    name = PurePosixPath(path).name
    if name in task:
        return False
    # below the top folder, a name like these may well be a module's
    return bool(_LEFTOVER.fullmatch(name)) or (strict and name == path and bool(_SCRATCH.fullmatch(name)))


def _changed_lines(hunks: Sequence[Hunk]) -> tuple[int, int]:
    """Changed lines (the longer side of each hunk), and those of hunks that say the same as before."""
    sizes = [(max(len(hunk.old), len(hunk.new)), _layout_only(hunk)) for hunk in hunks]
    return sum(size for size, _ in sizes), sum(size for size, layout in sizes if layout)


def _layout_only(hunk: Hunk) -> bool:
    old, new = (_LAYOUT.sub("", "".join(side)) for side in (hunk.old, hunk.new))
    return old == new
