"""Listing and removing trees that hostile programs may have filled: any depth, any name, any kind of file."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import FileRefused
from sandbox.hostfiles import Kind, Root, kind_of, opened

__all__ = ["Caps", "Entry", "Skipped", "is_git_name", "list_directory", "remove_tree", "walk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How far a walk goes. Deeper or longer paths are skipped and reported; more entries end it."""

    entries: int = 500_000
    depth: int = 100
    path_bytes: int = 2048


@dataclass(
    slots=True
)  # not frozen: one is made for every file of every walk, and freezing costs five times as much
class Entry:
    """One file, link or directory as lstat saw it. `mode` holds the type and permission bits; times are in ns."""

    path: str
    kind: Kind
    mode: int
    size: int
    mtime: int
    ctime: int
    inode: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that was left out, and why."""

    path: str
    reason: str
    hidden: bool = False
    """It is there, but cannot be looked at: what was known of it before still stands."""


def walk(
    root: Root, *, skip_git: bool = True, caps: Caps | None = None, skipped: list[Skipped] | None = None
) -> Iterator[Entry]:
    """Every regular file, link and directory beneath `root`, in no particular order, following no link.

    Anything named like `.git` is passed over in silence, at any depth; FIFOs, sockets, devices, unreadable
    directories and whatever exceeds `caps` is added to `skipped`. Raises FileRefused past `caps.entries`.
    """
    caps = caps or Caps()
    report = [] if skipped is None else skipped
    waiting = [""]
    seen = 0
    while waiting:
        directory = waiting.pop()
        for entry in _children(root, directory, report):
            name = entry.path.rpartition("/")[2]
            if skip_git and is_git_name(name):
                continue
            seen += 1
            if seen > caps.entries:
                raise FileRefused(f"there are more than {caps.entries} files", hint="remove generated files")
            if entry.kind == "other":
                report.append(Skipped(entry.path, "not a file, link or directory"))
                continue
            if len(os.fsencode(entry.path)) > caps.path_bytes or entry.path.count("/") >= caps.depth:
                report.append(Skipped(entry.path, "too deep or too long a path", hidden=True))
                continue
            yield entry
            if entry.kind == "dir":
                waiting.append(entry.path)


def list_directory(root: Root, path: str = ".", *, depth: int = 1, limit: int = 1000) -> list[Entry]:
    """At most `limit` entries beneath the directory `path`, `depth` levels deep, sorted; paths relative to it."""
    found: list[Entry] = []
    with opened(root, path, os.O_RDONLY | os.O_DIRECTORY) as directory:
        # read well past the limit, so that what is returned is the first of a sorted list in all but huge trees
        walked = walk(directory, caps=Caps(depth=depth))
        found.extend(itertools.islice(walked, max(limit * 20, 20_000)))
    found.sort(key=lambda entry: entry.path)
    return found[:limit]


def _children(root: Root, directory: str, report: list[Skipped]) -> Iterator[Entry]:
    prefix = f"{directory}/" if directory else ""
    try:
        with (
            opened(root, directory, os.O_RDONLY | os.O_DIRECTORY, links=False) as descriptor,
            os.scandir(descriptor) as scan,
        ):
            for item in scan:
                with contextlib.suppress(FileNotFoundError):
                    found = item.stat(follow_symlinks=False)
                    yield Entry(
                        prefix + item.name,
                        kind_of(found.st_mode),
                        found.st_mode,
                        found.st_size,
                        found.st_mtime_ns,
                        found.st_ctime_ns,
                        found.st_ino,
                    )
    except PermissionError:
        report.append(Skipped(directory or ".", "unreadable", hidden=True))
    except (FileNotFoundError, NotADirectoryError, FileRefused):
        # replaced by something else while we walked
        report.append(Skipped(directory or ".", "changed while it was read"))


# Code points that HFS+ ignores in names: `is_hfs_dotgit` in git's utf8.c
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


def is_git_name(name: str) -> bool:
    """Whether some file system would take `name` for `.git`: any case, `git~1`, trailing dots, `.git::$DATA` …"""
    if len(name) < 4 or ("g" not in name and "G" not in name):
        return False
    for piece in _IGNORABLE.sub("", name).casefold().split("\\"):
        if piece.split(":", 1)[0].rstrip(". ") in (".git", "git~1"):
            return True
    return False


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it, however deep and whatever its permissions; missing is fine.

    Nothing may be running in it. Raises OSError when something will not go (another owner, a mount).
    """
    try:
        top = _open_owned(path.name, os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except FileNotFoundError:
        return
    # Each directory that is not empty is first moved to the top: the depth never matters, nor does recursion
    names = (f"{secrets.token_hex(8)}-{number}" for number in itertools.count())
    try:
        waiting = _empty(top, top, names)
        while waiting:
            name = waiting.pop()
            inner = _open_owned(name, os.dup(top))
            try:
                waiting += _empty(inner, top, names)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path)


def _open_owned(name: str, holder: int) -> int:
    """Open the directory `name` in `holder` (which is closed), giving ourselves access when we may."""
    try:
        flags = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(name, os.O_PATH | flags, dir_fd=holder)
    finally:
        os.close(holder)
    try:
        # chmod through the descriptor: the name could have become a link by now
        if os.fstat(handle).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
        return os.open(".", os.O_RDONLY | flags, dir_fd=handle)
    finally:
        os.close(handle)


def _empty(directory: int, top: int, names: Iterator[str]) -> list[str]:
    """Remove what is in `directory`; the new names in `top` of the subdirectories that still hold something."""
    moved: list[str] = []
    for name in os.listdir(directory):
        try:
            os.unlink(name, dir_fd=directory)
            continue
        except FileNotFoundError:
            continue
        except (IsADirectoryError, PermissionError):
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=directory)
                continue
        target = name
        if directory != top:
            os.close(_open_owned(name, os.dup(directory)))
            target = next(names)
            os.rename(name, target, src_dir_fd=directory, dst_dir_fd=top)
        moved.append(target)
    return moved
