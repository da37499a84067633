"""Filling a new workspace: the files, and a throw-away git repository of one commit for the model's own use."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import FileRefused, SandboxError
from sandbox.hostfiles import Owner, opened, read_bytes, read_open, write_bytes
from sandbox.hostgit import make_git_directory
from sandbox.shadow import EXECUTABLE, LINK, REGULAR, TreeFile, TreeWriter, write_tree
from sandbox.walking import Caps, Skipped

__all__ = [
    "Limits",
    "Placed",
    "Progress",
    "SourceFile",
    "finish_git",
    "hide_from_git",
    "place_files",
    "read_sources",
    "write_index",
]

_PLAIN = re.compile(r"[\w./@+-]+")  # no character that means something to gitignore

Progress = Callable[[int, int], None]
"""Told (files done, files in all) now and then; what it raises ends the copying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a workspace may hold."""

    files: int = 200_000
    file_mb: int = 100
    """Larger files are left out of the copy and of snapshots, and reported."""
    total_mb: int = 4096
    change_mb: int = 256
    """What may change from one snapshot to the next."""


@dataclass(slots=True)
class SourceFile:
    """A file to be placed. `mtime` in ns, None for now."""

    path: str
    mode: str
    data: bytes
    mtime: int | None = None


@dataclass(slots=True)
class Placed:
    """A file that was placed, and what lstat says of it."""

    path: str
    mode: str
    status: os.stat_result


def read_sources(
    root: Path, names: Iterable[str], limits: Limits, skipped: list[Skipped]
) -> Iterator[SourceFile]:
    """The present content of `names` (sorted) beneath `root`; links as links, missing files passed over.

    What is no file, unreadable, too large or too deep is added to `skipped`.
    """
    caps = Caps()
    holder, directory = None, -1
    with contextlib.ExitStack() as stack:
        for name in names:
            folder, _, base = name.rpartition("/")
            if len(os.fsencode(name)) > caps.path_bytes or name.count("/") >= caps.depth:
                skipped.append(Skipped(name, "too deep or too long a path"))
                continue
            try:
                if folder != holder:
                    stack.close()
                    holder = None
                    flags = os.O_PATH | os.O_DIRECTORY
                    directory = stack.enter_context(opened(root, folder, flags, links=False))
                    holder = folder
                yield _read_source(directory, base, name, limits.file_mb << 20)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                continue  # tracked, but no longer there as a file
            except PermissionError:
                skipped.append(Skipped(name, "unreadable"))
            except FileRefused as error:
                skipped.append(Skipped(name, str(error)))


def _read_source(directory: int, base: str, path: str, limit: int) -> SourceFile:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(base, flags, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return SourceFile(path, LINK, os.fsencode(os.readlink(base, dir_fd=directory)))
        if error.errno == errno.ENXIO:
            raise FileRefused(f"{path!r} is not a regular file") from error
        raise
    try:
        data = read_open(descriptor, path, limit)
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    mode = EXECUTABLE if found.st_mode & stat.S_IXUSR else REGULAR
    return SourceFile(path, mode, data, found.st_mtime_ns)


def place_files(
    root: Path,
    sources: Iterable[SourceFile],
    *,
    object_format: str,
    owner: Owner | None,
    limits: Limits,
    total: int = 0,
    progress: Progress | None = None,
) -> tuple[str, list[Placed]]:
    """Make the directory `root` with all of `sources`, and a `.git` with one commit of them; the tree and the files.

    `owner` gets the files. `root` must not exist. Raises SandboxError past the limits.
    """
    placed: list[Placed] = []
    room = limits.total_mb << 20
    root.mkdir(mode=0o700)
    git_dir = root / ".git"
    make_git_directory(git_dir, object_format, bare=False)
    made = {""}
    with write_tree(git_dir, "refs/heads/main", pack=True) as (writer, written):
        for source in sources:
            room -= len(source.data)
            if room < 0 or len(placed) == limits.files:
                what = f"{limits.files} files" if room >= 0 else f"{limits.total_mb} MiB"
                raise SandboxError(
                    f"the copy would hold more than {what}", hint="add large folders to .gitignore"
                )
            placed.append(_place(root, source, made, writer, owner))
            if progress and len(placed) % 200 == 0:
                progress(len(placed), total)
    if progress:
        progress(len(placed), len(placed))
    return written.tree, placed


def _place(root: Path, source: SourceFile, made: set[str], writer: TreeWriter, owner: Owner | None) -> Placed:
    """Nobody else can reach `root` yet, and no name is placed twice: plain paths are safe here."""
    writer.add(source.path, source.mode, source.data)
    folder = source.path.rpartition("/")[0]
    if folder not in made:
        _make_folder(root, folder, made, owner)
    path = f"{root}/{source.path}"
    if source.mode == LINK:
        os.symlink(source.data, os.fsencode(path))
        if owner is not None:
            os.chown(path, *owner, follow_symlinks=False)
        return Placed(source.path, LINK, os.lstat(path))
    bits = 0o755 if source.mode == EXECUTABLE else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, bits)
    try:
        view = memoryview(source.data)
        while view:
            view = view[os.write(descriptor, view) :]
        if owner is not None:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, bits)
        if source.mtime is not None:
            os.utime(descriptor, ns=(source.mtime, source.mtime))
        return Placed(source.path, source.mode, os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _make_folder(root: Path, folder: str, made: set[str], owner: Owner | None) -> None:
    above = folder.rpartition("/")[0]
    if above not in made:
        _make_folder(root, above, made, owner)
    os.mkdir(root / folder, 0o755)
    if owner is not None:
        os.chown(root / folder, *owner)
    made.add(folder)


def finish_git(
    root: Path, placed: list[Placed], files: Mapping[str, TreeFile], ignore: bytes, owner: Owner | None
) -> None:
    """Complete the throw-away repository in `root` and give both to `owner`.

    Its index matches the files, so that `git status` reads none of them.
    """
    git_dir = root / ".git"
    (git_dir / "info/exclude").write_bytes(ignore)
    # the files are as the user has them: git must not convert line ends or look for filters in here
    (git_dir / "info/attributes").write_text("* -text -filter -ident -working-tree-encoding\n")
    with (git_dir / "config").open("a") as config:
        config.write("[user]\n\tname = coder\n\temail = coder@localhost\n[gc]\n\tauto = 0\n")
    write_index(git_dir / "index", placed, files)
    if owner is not None:
        for directory, _, names in os.walk(git_dir):
            for name in (".", *names):
                os.chown(os.path.join(directory, name), *owner)
        os.chown(root, *owner)


def hide_from_git(root: Path, path: str, owner: Owner | None) -> None:
    """Have the throw-away repository in `root`, which commands may have filled, ignore `path`."""
    if not _PLAIN.fullmatch(path):
        return
    exclude = ".git/info/exclude"
    with contextlib.suppress(OSError, FileRefused):  # whatever a command made of it: it is for its own eyes
        present = read_bytes(root, exclude, 1 << 20, links=False)
        write_bytes(root, exclude, present.rstrip(b"\n") + f"\n/{path}\n".encode(), owner=owner, links=False)


def write_index(path: Path, placed: Iterable[Placed], files: Mapping[str, TreeFile]) -> None:
    """Write a git index, version 2 (gitformat-index(5)), of files whose status is known."""
    entries: list[bytes] = []
    for item in sorted(placed, key=lambda item: os.fsencode(item.path)):
        name = os.fsencode(item.path)
        found = item.status
        numbers = (
            *divmod(found.st_ctime_ns, 10**9),
            *divmod(found.st_mtime_ns, 10**9),
            found.st_dev,
            found.st_ino,
            int(item.mode, 8),
            found.st_uid,
            found.st_gid,
            found.st_size,
        )
        head = struct.pack(">10I", *(number & 0xFFFFFFFF for number in numbers))
        entry = head + bytes.fromhex(files[item.path].id) + struct.pack(">H", min(len(name), 0xFFF)) + name
        entries.append(entry + b"\0" * (8 - len(entry) % 8))
    body = struct.pack(">4sII", b"DIRC", 2, len(entries)) + b"".join(entries)
    digest = hashlib.new(
        "sha1" if len(next(iter(files.values()), TreeFile("", "0" * 40)).id) == 40 else "sha256"
    )
    digest.update(body)
    path.write_bytes(body + digest.digest())
