"""Makes mount points inside directories that earlier commands could write, without following what they left there.

bwrap would create a missing mount point itself, through any link on the way: outside of the sandbox, as the user.
No command of the sandbox may be running meanwhile.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Point:
    """A mount point `parts` beneath the host directory `root`."""

    root: Path
    parts: tuple[str, ...]
    is_directory: bool


def find(target: Path, writable: Iterable[tuple[Path, Path]], *, is_directory: bool) -> Point | None:
    """Where on the host the mount point `target` lies; None outside of all `writable` (inside, host) directories."""
    matches = [(top, root) for top, root in writable if target != top and target.is_relative_to(top)]
    if not matches:
        return None
    top, root = max(matches, key=lambda match: len(match[0].parts))
    return Point(root, target.relative_to(top).parts, is_directory)


def secure(point: Point, uid: int, gid: int) -> None:
    """See to it that `point` is there and no link is on the way; what is in the way is renamed.

    Raises SandboxError.
    """
    opened: list[int] = []
    try:
        opened.append(os.open(point.root, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW))
        for depth, name in enumerate(point.parts, 1):
            is_directory = point.is_directory or depth < len(point.parts)
            opened.append(_step(opened[-1], name, uid, gid, is_directory=is_directory))
    except OSError as error:
        path = point.root.joinpath(*point.parts)
        raise SandboxError(
            f"the mount point {path} cannot be made: {error}", hint="reset the workspace"
        ) from error
    finally:
        for fd in opened:
            os.close(fd)


def _step(parent: int, name: str, uid: int, gid: int, *, is_directory: bool) -> int:
    for _ in range(_ATTEMPTS):
        try:
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)
        except FileNotFoundError:
            _make(parent, name, uid, gid, is_directory=is_directory)
            continue
        found = os.fstat(fd).st_mode
        if stat.S_ISDIR(found) if is_directory else stat.S_ISREG(found):
            if is_directory:
                make_passable(Path(f"/proc/self/fd/{fd}"))
            return fd
        os.close(fd)
        os.rename(name, f"{name}.moved-{secrets.token_hex(4)}", src_dir_fd=parent, dst_dir_fd=parent)
    raise FileExistsError(f"{name} keeps changing")


def _make(parent: int, name: str, uid: int, gid: int, *, is_directory: bool) -> None:
    if is_directory:
        os.mkdir(name, 0o755, dir_fd=parent)
    else:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644, dir_fd=parent))
    if os.getuid() == 0:
        os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)


def make_passable(directory: Path) -> None:
    """Undo a command's chmod that would keep even its owner out of `directory` (no link)."""
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & 0o700 != 0o700:
        directory.chmod(mode | 0o700)
