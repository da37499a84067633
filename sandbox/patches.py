"""What a patch may do to the user's tree: rules over paths, modes and links, and what the user should look at twice."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox.errors import PatchRefused
from sandbox.patch_format import PatchFile, parse_patch
from sandbox.runs_later import runs_later
from sandbox.shadow import EXECUTABLE, LINK, REGULAR, Change, TreeFile
from sandbox.text import clean_text
from sandbox.walking import is_git_name

__all__ = ["Flag", "PatchReport", "check", "check_changes"]

MAX_BYTES = 32 * 1024 * 1024
MAX_FILES = 5000
_MAX_PATH = 1024
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Flag:
    """Something in an acceptable patch that deserves a look before it is applied."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class PatchReport:
    """What an acceptable patch does."""

    files: tuple[PatchFile, ...]
    additions: int
    deletions: int
    flagged: tuple[Flag, ...]


def check(patch: bytes, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> PatchReport:
    """Judge a git patch. An empty one is fine. Raises PatchRefused with every reason against it."""
    if len(patch) > max_bytes:
        raise PatchRefused([f"the patch has {len(patch)} bytes; at most {max_bytes} are allowed"])
    files = parse_patch(patch)
    if len(files) > max_files:
        raise PatchRefused([f"the patch changes {len(files)} files; at most {max_files} are allowed"])
    reasons: list[str] = []
    flagged: list[Flag] = []
    for file in files:
        _judge(file.path, file.old_mode, file.new_mode, file.link_target, reasons, flagged)
        if file.binary:
            flagged.append(Flag(file.path, "binary content"))
    if reasons:
        raise PatchRefused(reasons)
    additions, deletions = sum(file.additions for file in files), sum(file.deletions for file in files)
    return PatchReport(tuple(files), additions, deletions, tuple(dict.fromkeys(flagged)))


def check_changes(changes: Iterable[Change], read: Callable[[TreeFile], bytes]) -> tuple[Flag, ...]:
    """Judge the changes between two snapshots by the same rules; `read` gives the content of a file.

    Raises PatchRefused with every reason against them.
    """
    reasons: list[str] = []
    flagged: list[Flag] = []
    for change in changes:
        target = read(change.new) if change.new and change.new.mode == LINK else None
        _judge(change.path, change.old_mode, change.new_mode, target, reasons, flagged)
    if reasons:
        raise PatchRefused(reasons)
    return tuple(flagged)


def _judge(
    path: str,
    old_mode: str | None,
    new_mode: str | None,
    target: bytes | None,
    reasons: list[str],
    flagged: list[Flag],
) -> None:
    shown = clean_text(path)
    reasons += [f"{shown}: {reason}" for reason in (*_path_reasons(path), *_mode_reasons(old_mode, new_mode))]
    if new_mode == LINK:
        reasons += [f"{shown}: {reason}" for reason in _link_reasons(path, target)]
        if old_mode != LINK:
            flagged.append(Flag(path, "a symbolic link"))
    if new_mode == EXECUTABLE and old_mode != EXECUTABLE:
        flagged.append(Flag(path, "executable"))
    if new_mode is not None and (reason := runs_later(path)):
        flagged.append(Flag(path, reason))


def _path_reasons(path: str) -> Iterable[str]:
    parts = path.split("/")
    if not path or path.startswith("/"):
        yield "not a relative path"
    elif "" in parts or "." in parts or ".." in parts:
        yield "a path with `..`, `.` or empty parts"
    if any(map(is_git_name, parts)):
        yield "inside a git directory"
    visible = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if clean_text(visible) != visible or "\n" in path or "\t" in path:
        yield "control characters in the name"
    lengths = [len(part.encode("utf-8", "surrogateescape")) for part in parts]
    if sum(lengths) + len(parts) > _MAX_PATH or max(lengths) > _MAX_NAME:
        yield "too long a name"


def _mode_reasons(old_mode: str | None, new_mode: str | None) -> Iterable[str]:
    for mode in dict.fromkeys((old_mode, new_mode)):
        if mode == "160000":
            yield "a link to another repository (submodule)"
        elif mode not in (None, REGULAR, EXECUTABLE, LINK):
            yield f"the file mode {mode}"


def _link_reasons(path: str, target: bytes | None) -> Iterable[str]:
    if target is None:
        yield "a symbolic link whose target is not shown"
        return
    where = target.decode("utf-8", "surrogateescape")
    parts = where.split("/")
    # `..` may stand only in front: after a name it could climb from wherever that name, itself a link, leads
    climbs = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(path), where))
    if (
        not where
        or "\0" in where
        or where.startswith("/")
        or ".." in parts[climbs:]
        or resolved.startswith("..")
    ):
        yield f"a symbolic link that leads out of the tree, to {clean_text(where)}"
    elif any(map(is_git_name, parts)):
        yield "a symbolic link into a git directory"
