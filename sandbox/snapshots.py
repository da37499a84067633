"""Snapshots of a directory that a sandbox writes to: we walk it ourselves and hash only what changed."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import FileRefused, SandboxError
from sandbox.hostfiles import TEMPORARY_PREFIX, opened, read_bytes, read_link
from sandbox.populate import Limits
from sandbox.shadow import EXECUTABLE, LINK, REGULAR, Shadow, TreeFile
from sandbox.walking import Entry, Skipped, walk

__all__ = ["Snapshots", "is_debris"]

_DEBRIS_NAMES = frozenset(
    ["__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".coverage", ".DS_Store"]
)
_DEBRIS_ENDINGS = (".pyc", ".pyo", ".egg-info")

# Two writes within one tick of the file system's clock leave the same times (4 ms at HZ=250, 10 ms at HZ=100)
_CLOCK_TICK_NS = 50_000_000

_Key = tuple[int, int, int, int, int]


def is_debris(path: str) -> bool:
    """Whether `path` is what running programs leave behind: never part of a patch, whatever the ignore rules say."""
    return any(
        part in _DEBRIS_NAMES or part.endswith(_DEBRIS_ENDINGS) or part.startswith(TEMPORARY_PREFIX)
        for part in path.split("/")
    )


@dataclass(slots=True)
class _Known:
    file: TreeFile
    key: _Key | None
    """What lstat said when the file was read; None when it was too fresh to rely on."""


class Snapshots:
    """Takes snapshots of `root` into `shadow`. Safe to use from several threads."""

    def __init__(self, root: Path, shadow: Shadow, limits: Limits) -> None:
        self._root = root
        self._shadow = shadow
        self._limits = limits
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._ignored: dict[str, bool] = {}
        self._left_out: set[str] = set()
        self.tree = ""
        """The latest snapshot."""
        self.skipped: tuple[Skipped, ...] = ()
        """What the latest snapshot left out although it was not ignored."""

    def start(self, tree: str, files: Mapping[str, TreeFile], statuses: Mapping[str, os.stat_result]) -> None:
        """Begin with a directory that is known to hold exactly `tree`."""
        now = time.time_ns()
        self.tree = tree
        for path, file in files.items():
            found = statuses[path]
            key = _key(found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            self._known[path] = _Known(file, _settled(key, now))

    def leave_out(self, path: str) -> None:
        """Never look at `path`, which was not there at the start, and what is beneath it."""
        self._left_out.add(path)

    def is_left_out(self, path: str) -> bool:
        """Whether `path` is, or is beneath, one that was left out."""
        while self._left_out and path:
            if path in self._left_out:
                return True
            path = path.rpartition("/")[0]
        return False

    def take(self) -> str:
        """The tree id of the files as they are now.

        Ignored files that were not there at the start stay out. A file that cannot be looked at (too large,
        unreadable) counts as unchanged and stands in `skipped`. Raises FileRefused or SandboxError when there
        are too many files or too much changed; OSError when the directory itself cannot be read.
        """
        with self._lock:
            return self._take()

    def _take(self) -> str:
        now = time.time_ns()
        skipped: list[Skipped] = []
        present = {entry.path: entry for entry in self._walk(skipped)}
        deleted = self._deleted(present, skipped)
        fresh = self._not_ignored([path for path in present if path not in self._known])
        candidates = [
            entry
            for path, entry in present.items()
            if path in fresh or ((known := self._known.get(path)) and known.key != _entry_key(entry))
        ]
        added: list[tuple[str, str, bytes | str]] = []
        updates: dict[str, _Known] = {}
        room = self._limits.change_mb << 20
        for entry in candidates:
            data = self._read(entry, skipped)
            if data is None:
                continue
            file = TreeFile(_mode(entry), self._shadow.blob_id(data))
            known = self._known.get(entry.path)
            updates[entry.path] = _Known(file, _settled(_entry_key(entry), now))
            if known is None or known.file != file:
                room -= len(data)
                added.append((entry.path, file.mode, data))
            if room < 0:
                text = f"more than {self._limits.change_mb} MiB changed in the workspace"
                raise SandboxError(text, hint="remove large generated files")
        if deleted or added:
            self.tree = self._shadow.write(self.tree, deleted, sorted(added))
        for path in deleted:
            del self._known[path]
        self._known |= updates
        self.skipped = tuple(skipped)
        return self.tree

    def _walk(self, skipped: list[Skipped]) -> Iterable[Entry]:
        try:
            with opened(self._root, "", os.O_RDONLY | os.O_DIRECTORY):
                pass
        except PermissionError:
            os.chmod(self._root, 0o700)  # a command may have locked us out; the directory itself is ours
        for entry in walk(self._root, skipped=skipped):
            if entry.kind != "dir" and not is_debris(entry.path) and not self.is_left_out(entry.path):
                yield entry

    def _deleted(self, present: Mapping[str, Entry], skipped: Iterable[Skipped]) -> list[str]:
        hidden = [item.path for item in skipped if item.hidden]
        gone = [path for path in self._known if path not in present and not is_debris(path)]
        if not hidden:
            return gone
        if "." in hidden:
            return []
        return [p for p in gone if not any(p == above or p.startswith(f"{above}/") for above in hidden)]

    def _not_ignored(self, paths: list[str]) -> set[str]:
        unknown = [path for path in paths if path not in self._ignored]
        ignored = self._shadow.ignored(unknown)
        self._ignored |= {path: path in ignored for path in unknown}
        return {path for path in paths if not self._ignored[path]}

    def _read(self, entry: Entry, skipped: list[Skipped]) -> bytes | None:
        try:
            if entry.kind == "symlink":
                return os.fsencode(read_link(self._root, entry.path))
            return read_bytes(self._root, entry.path, self._limits.file_mb << 20, links=False)
        except (OSError, FileRefused) as error:
            skipped.append(Skipped(entry.path, str(error), hidden=True))
            return None


def _mode(entry: Entry) -> str:
    if entry.kind == "symlink":
        return LINK
    return EXECUTABLE if entry.mode & stat.S_IXUSR else REGULAR


def _key(mode: int, size: int, mtime: int, ctime: int, inode: int) -> _Key:
    return (mode, size, mtime, ctime, inode)


def _entry_key(entry: Entry) -> _Key:
    return _key(entry.mode, entry.size, entry.mtime, entry.ctime, entry.inode)


def _settled(key: _Key, now: int) -> _Key | None:
    """The key, if the file has been at rest long enough for another change to show in it."""
    return key if max(key[2], key[3]) < now - _CLOCK_TICK_NS else None
