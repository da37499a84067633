"""Snapshots that outlive their shadow repository: what differs from the base, kept in a directory of the session.

A kept snapshot can be laid over another base: file by file where nothing changed meanwhile, merged where both changed
different lines, and named as a conflict where they cannot be brought together.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.hostgit import GitFailed, git
from sandbox.shadow import LINK, Change, TreeFile
from sandbox.workspace import Workspace

__all__ = ["Conflict", "Keeper", "Kept"]

_MERGED_AT_MOST = 4 << 20  # bytes of one file
_UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A file that changed on both sides. `copy` is where the kept version of it lies; None: it was deleted there."""

    path: str
    copy: Path | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot brought back: its tree in the present shadow repository, and what could not be brought along."""

    tree: str
    conflicts: tuple[Conflict, ...] = ()


class Keeper:
    """Keeps snapshots in `directory`. Everything here blocks; it may be called from any thread."""

    def __init__(self, directory: Path) -> None:
        self._trees = directory / "trees"
        self._blobs = directory / "blobs"
        self._conflicts = directory / "conflicts"

    def knows(self, tree: str) -> bool:
        return self._manifest(tree).exists()

    def keep(self, workspace: Workspace, tree: str) -> None:
        """Keep a snapshot of `workspace`. Raises OSError when the disk is full."""
        if self.knows(tree):
            return
        changes = workspace.changes(workspace.base, tree)
        wanted = {file.id for change in changes for file in (change.old, change.new) if file is not None}
        missing = sorted(blob for blob in wanted if not (self._blobs / blob).exists())
        for blob, data in zip(missing, workspace.shadow.blobs(missing), strict=True):
            _write(self._blobs / blob, zlib.compress(data, 1))
        _write(self._manifest(tree), json.dumps([_row(change) for change in changes]).encode())

    def bring_back(self, workspace: Workspace, tree: str) -> Kept:
        """A kept snapshot on the base of `workspace`; no file is written there. Raises SandboxError when it is not kept."""
        base = workspace.tree_files(workspace.base)
        conflicts: list[Conflict] = []
        deleted: list[str] = []
        added: list[tuple[str, str, bytes | str]] = []
        # deletions first: what they make room for is not in the way
        for change in sorted(self._changes(tree), key=lambda each: each.new is not None):
            now = base.get(change.path)
            if now == change.new:
                continue
            merged = None if now == change.old else self._merged(workspace, change, now)
            if (now != change.old and merged is None) or _in_the_way(base, change):
                conflicts.append(self._conflict(workspace, change))
            elif change.new is None:
                deleted.append(change.path)
                del base[change.path]
            else:
                data = self._blob(workspace, change.new) if merged is None else merged
                added.append((change.path, change.new.mode, data))
        if not deleted and not added:
            return Kept(workspace.base, tuple(conflicts))
        return Kept(workspace.shadow.write(workspace.base, deleted, sorted(added)), tuple(conflicts))

    def _merged(self, workspace: Workspace, change: Change, now: TreeFile | None) -> bytes | None:
        """Both sides' lines in one file, or None where they do not fit."""
        if now is None or change.old is None or change.new is None:
            return None
        if LINK in (now.mode, change.old.mode, change.new.mode):
            return None
        ours = workspace.shadow.blob(now.id)
        sides = [ours, self._blob(workspace, change.old), self._blob(workspace, change.new)]
        if any(len(side) > _MERGED_AT_MOST or b"\0" in side for side in sides):
            return None
        with tempfile.TemporaryDirectory(prefix="coder-") as place:
            names = []
            for number, side in enumerate(sides):
                names.append(os.path.join(place, str(number)))
                Path(names[-1]).write_bytes(side)
            try:
                return git(["merge-file", "-p", "--quiet", *names], git_dir=workspace.shadow.git_dir)
            except GitFailed:
                return None

    def _conflict(self, workspace: Workspace, change: Change) -> Conflict:
        if change.new is None:
            return Conflict(change.path, None)
        name = _UNSAFE.sub("_", change.path.rpartition("/")[2])[-80:]
        copy = self._conflicts / f"{change.new.id[:12]}-{name}"
        _write(copy, self._blob(workspace, change.new))
        return Conflict(change.path, copy)

    def _blob(self, workspace: Workspace, file: TreeFile) -> bytes:
        try:
            data = zlib.decompress((self._blobs / file.id).read_bytes())
        except (OSError, zlib.error) as error:
            raise SandboxError(f"a kept file is damaged: {error}") from error
        if workspace.shadow.blob_id(data) != file.id:
            raise SandboxError(f"the kept file {file.id} is not what it was")
        return data

    def _changes(self, tree: str) -> list[Change]:
        try:
            rows = json.loads(self._manifest(tree).read_bytes())
            return [_change(*row) for row in rows]
        except (OSError, ValueError, TypeError) as error:
            raise SandboxError(f"the snapshot {tree[:12]} was not kept, or is damaged: {error}") from error

    def _manifest(self, tree: str) -> Path:
        if not tree.isalnum():
            raise SandboxError(f"{tree!r} names no snapshot")
        return self._trees / f"{tree}.json"


def _in_the_way(base: Mapping[str, TreeFile], change: Change) -> bool:
    """Whether a file stands where a directory is needed, or the reverse."""
    if change.new is None:
        return False
    parts = change.path.split("/")
    above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
    return any(path in base for path in above) or any(path.startswith(f"{change.path}/") for path in base)


def _row(change: Change) -> list[str | None]:
    old, new = change.old, change.new
    return [
        change.path,
        old.mode if old else None,
        old.id if old else None,
        new.mode if new else None,
        new.id if new else None,
    ]


def _change(
    path: str, old_mode: str | None, old_id: str | None, new_mode: str | None, new_id: str | None
) -> Change:
    old = TreeFile(old_mode, old_id) if old_mode and old_id else None
    new = TreeFile(new_mode, new_id) if new_mode and new_id else None
    return Change(path, "modified" if old and new else "added" if new else "deleted", old, new)


def _write(path: Path, data: bytes) -> None:
    """In one step: a reader finds all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole = path.with_name(f".{secrets.token_hex(8)}")
    whole.write_bytes(data)
    whole.replace(path)
