"""File access for the host beneath a root that hostile programs may have filled: no link leads out, nothing blocks.

Every path is a `/`-separated string relative to the root; undecodable bytes are kept as surrogate escapes.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import stat
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from sandbox.errors import FileRefused

__all__ = [
    "TEMPORARY_PREFIX",
    "Kind",
    "Owner",
    "Root",
    "kind",
    "kind_of",
    "make_link",
    "opened",
    "parent",
    "parts_of",
    "read_bytes",
    "read_link",
    "read_open",
    "remove",
    "status",
    "write_bytes",
    "write_temporary",
]

Kind = Literal["file", "symlink", "dir", "other"]
Root = int | Path
"""A directory, as an open descriptor or as a path whose own components are trusted."""

Owner = tuple[int, int]
"""Who a new file belongs to: uid and gid. Only root can say so."""

TEMPORARY_PREFIX = ".coder-internal-"
"""Files of ours that may be seen half-way through a write; nothing else may count them as content."""

DEFAULT_LIMIT = 16 * 1024 * 1024

# linux/openat2.h; the number is the same on every architecture but alpha (arch/*/kernel/syscalls)
_SYS_OPENAT2 = 437
_NO_MAGICLINKS = 0x02
_NO_SYMLINKS = 0x04
_BENEATH = 0x08
_OPEN_HOW = struct.Struct("=QQQ")


def parts_of(path: str) -> list[str]:
    """The components of `path`, `.` and empty ones dropped. Raises FileRefused when it could lead out."""
    if "\0" in path or path.startswith("/") or not _encodable(path):
        raise FileRefused(f"{path!r} is not a relative path", hint="give a path relative to the workspace")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise FileRefused(f"{path!r} contains `..`", hint="give the path without `..`")
    return parts


def _encodable(path: str) -> bool:
    # a model's JSON can hold lone surrogates, which no file name can
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def opened(root: Root, path: str, flags: int = os.O_RDONLY, *, links: bool = True) -> Iterator[int]:
    """Open `path` beneath `root` for the length of a `with` block.

    With `links` a symbolic link is followed as long as it stays beneath the root, without it none is.
    Raises FileRefused for a way out, a link that may not be followed or a socket; else OSError as os.open does.
    """
    parts = parts_of(path)
    with _root_descriptor(root) as directory:
        descriptor = _open_checked(directory, parts, flags | os.O_CLOEXEC, links=links)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def parent(
    root: Root, path: str, *, create: bool = False, owner: Owner | None = None, links: bool = True
) -> Iterator[tuple[int, str]]:
    """The open directory that holds `path`, and the last component of `path`.

    With `create` missing directories are made, owned by `owner` when it is given.
    """
    parts = parts_of(path)
    if not parts:
        raise FileRefused(f"{path!r} names no file", hint="give the path of a file")
    with _root_descriptor(root) as directory:
        if create:
            _make_directories(directory, parts[:-1], owner=owner, links=links)
        flags = os.O_PATH | os.O_DIRECTORY
        with opened(directory, "/".join(parts[:-1]), flags, links=links) as holder:
            yield holder, parts[-1]


def read_bytes(root: Root, path: str, limit: int = DEFAULT_LIMIT, *, links: bool = True) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises FileRefused for anything that is not a regular file, is too large or lies outside;
    FileNotFoundError, IsADirectoryError and PermissionError as open() does.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
    with opened(root, path, flags, links=links) as descriptor:
        return read_open(descriptor, path, limit)


def read_open(descriptor: int, path: str, limit: int) -> bytes:
    """The content behind an open descriptor, under the terms of read_bytes."""
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(f"{path!r} is not a regular file")
    if found.st_size > limit:
        raise _too_large(path, limit)
    chunks: list[bytes] = []
    left = limit + 1
    while left and (chunk := os.read(descriptor, min(left, max(found.st_size + 1, 1 << 16)))):
        chunks.append(chunk)
        left -= len(chunk)
    if not left:
        raise _too_large(path, limit)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def read_link(root: Root, path: str) -> str:
    """Where the symbolic link `path` points, unresolved."""
    with parent(root, path) as (directory, name):
        return os.readlink(name, dir_fd=directory)


def status(root: Root, path: str, *, links: bool = True) -> os.stat_result:
    """What lstat says of `path`; `links` governs its parents only."""
    if not parts_of(path):
        with opened(root, "", os.O_PATH | os.O_DIRECTORY) as directory:
            return os.fstat(directory)
    with parent(root, path, links=links) as (directory, name):
        return os.stat(name, dir_fd=directory, follow_symlinks=False)


def kind(root: Root, path: str) -> Kind | None:
    """What `path` is, links not followed; None when there is nothing."""
    try:
        return kind_of(status(root, path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def kind_of(mode: int) -> Kind:
    """The kind that the file type bits of `mode` stand for."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISLNK(mode):
        return "symlink"
    return "dir" if stat.S_ISDIR(mode) else "other"


def write_bytes(
    root: Root,
    path: str,
    data: bytes,
    *,
    mode: int | None = None,
    owner: Owner | None = None,
    links: bool = True,
) -> None:
    """Replace or create `path` in one step: a reader sees the old content or the new, never a part.

    Missing parents are made. `mode` defaults to the permission bits of the file that is replaced, else 0644;
    set-uid bits are dropped. Raises FileRefused when the path is a link or a special file, IsADirectoryError for
    a directory, OSError when the disk is full and so on; the old file is then untouched.
    """
    with parent(root, path, create=True, owner=owner, links=links) as (directory, name):
        if mode is None:
            mode = _present_mode(directory, name, path)
        temporary = write_temporary(directory, data, mode & 0o777, owner)
        try:
            os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            os.unlink(temporary, dir_fd=directory)
            raise


def write_temporary(
    directory: int, data: bytes, mode: int, owner: Owner | None = None, *, masked: bool = False
) -> str:
    """Write `data` to a new file in the open `directory`, and return the name that it got. No part stays on failure.

    `masked` has the process's umask take its share of `mode`, as for a file that a user makes.
    """
    name = TEMPORARY_PREFIX + secrets.token_hex(8)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, mode, dir_fd=directory)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if owner is not None:
            os.fchown(descriptor, *owner)
        if not masked:
            os.fchmod(descriptor, mode)
    except OSError:
        os.unlink(name, dir_fd=directory)
        raise
    finally:
        os.close(descriptor)
    return name


def make_link(root: Root, path: str, target: str, *, owner: Owner | None = None, links: bool = True) -> None:
    """Create the symbolic link `path`, replacing a file or link of that name in one step."""
    with parent(root, path, create=True, owner=owner, links=links) as (directory, name):
        _present_mode(directory, name, path, replace_link=True)
        temporary = TEMPORARY_PREFIX + secrets.token_hex(8)
        os.symlink(target, temporary, dir_fd=directory)
        try:
            if owner is not None:
                os.chown(temporary, *owner, dir_fd=directory, follow_symlinks=False)
            os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            os.unlink(temporary, dir_fd=directory)
            raise


def remove(root: Root, path: str, *, links: bool = True) -> None:
    """Remove a file or a link (not what it points to). Raises IsADirectoryError for a directory."""
    with parent(root, path, links=links) as (directory, name):
        os.unlink(name, dir_fd=directory)


def _present_mode(directory: int, name: str, path: str, *, replace_link: bool = False) -> int:
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return 0o644
    if stat.S_ISLNK(found.st_mode):
        if replace_link:
            return 0o777
        target = os.readlink(name, dir_fd=directory)
        raise FileRefused(f"{path!r} is a link to {target!r}", hint="write to the file that it points to")
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(f"{path!r} is not a regular file")
    return found.st_mode & 0o777


def _too_large(path: str, limit: int) -> FileRefused:
    return FileRefused(f"{path!r} is larger than {limit} bytes", hint="read a part of it with a command")


def _make_directories(root: int, parts: list[str], *, owner: Owner | None, links: bool) -> None:
    for depth in range(1, len(parts) + 1):
        path = "/".join(parts[:depth])
        try:
            with opened(root, path, os.O_PATH | os.O_DIRECTORY, links=links):
                continue
        except FileNotFoundError:
            with parent(root, path, links=links) as (directory, name), contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=directory)
                if owner is not None:
                    os.chown(name, *owner, dir_fd=directory, follow_symlinks=False)


@contextlib.contextmanager
def _root_descriptor(root: Root) -> Iterator[int]:
    if isinstance(root, int):
        yield root
        return
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_checked(root: int, parts: list[str], flags: int, *, links: bool) -> int:
    path = "/".join(parts) or "."
    try:
        if has_openat2():
            return _openat2(root, path, flags, _BENEATH | _NO_MAGICLINKS | (0 if links else _NO_SYMLINKS))
        return open_stepwise(root, parts, flags)
    except OSError as error:
        match error.errno:
            case errno.EXDEV:
                raise FileRefused(f"{path!r} leads out of the tree") from error
            case errno.ELOOP:
                raise FileRefused(f"{path!r} is or lies behind a link that is not followed") from error
            case errno.ENXIO | errno.ENODEV:
                raise FileRefused(f"{path!r} is not a regular file") from error
            case _:
                raise


def open_stepwise(root: int, parts: list[str], flags: int) -> int:
    """Open one component after the other, following no link at all: for kernels without openat2 (before 5.6)."""
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    try:
        for part in parts[:-1]:
            step = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = step
            if stat.S_ISLNK(os.fstat(here).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), "/".join(parts))
        last = parts[-1] if parts else "."
        if stat.S_ISLNK(os.stat(last, dir_fd=here, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), "/".join(parts))
        return os.open(last, flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)


@cache
def has_openat2() -> bool:
    """Whether the kernel (and the seccomp profile we live under) lets us use openat2."""
    try:
        os.close(_openat2(_AT_FDCWD, "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, 0))
    except OSError:
        return False
    return True


_AT_FDCWD = -100


@cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    library.syscall.argtypes = [
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    return library


def _openat2(directory: int, path: str, flags: int, resolve: int) -> int:
    how = _OPEN_HOW.pack(flags, 0, resolve)
    # EAGAIN: a rename elsewhere raced with the check for `..` (openat2(2)); trying again is the documented answer
    for _ in range(32):
        descriptor: int = _libc().syscall(_SYS_OPENAT2, directory, os.fsencode(path), how, len(how))
        if descriptor >= 0:
            return descriptor
        error = ctypes.get_errno()
        if error not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(error, os.strerror(error), path)
