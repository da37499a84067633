"""Directories of the host that may be written to inside without being changed: an overlay for each copy-on-write mount.

What is written lies in the sandbox's scratch directory, where its size is watched. bwrap before 0.11 and kernels
before 5.11 have no overlays for ordinary users: the same directories are then read-only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sandbox import hostfiles
from sandbox.base import WORKDIR
from sandbox.errors import FileRefused
from sandbox.interpreters import Mount
from sandbox.toolchain import Toolchain
from sandbox.walking import remove_tree

_MIRRORED = 2_000
_DEPTH = 3


def layered(toolchain: Toolchain | None) -> bool:
    """Whether anything in it would be shown as an overlay."""
    return toolchain is not None and any(map(_is_layered, toolchain.mounts))


def read_only(toolchain: Toolchain) -> Toolchain:
    """The same without overlays."""
    mounts = (Mount(each.source, each.target) if _is_layered(each) else each for each in toolchain.mounts)
    return replace(toolchain, mounts=tuple(mounts))


def _is_layered(mount: Mount) -> bool:
    return mount.writes in ("forgotten", "kept")


def fitting(toolchain: Toolchain | None, workspace: Path) -> Toolchain | None:
    """The toolchain without layers over files of the workspace itself, such as `node_modules` kept in git."""
    if toolchain is None:
        return None
    tops = [Path(WORKDIR)] if toolchain.alias is None else [Path(WORKDIR), toolchain.alias]

    def fits(mount: Mount) -> bool:
        above = [top for top in tops if mount.target.is_relative_to(top)]
        return (
            mount.writes == "refused" or not above or _is_free(workspace, mount.target.relative_to(above[0]))
        )

    return replace(toolchain, mounts=tuple(filter(fits, toolchain.mounts)))


def _is_free(root: Path, path: Path) -> bool:
    try:
        with hostfiles.opened(root, str(path), os.O_RDONLY | os.O_DIRECTORY, links=False) as directory:
            return not os.listdir(directory)
    except FileNotFoundError:
        return True
    except (OSError, FileRefused):
        return False


def make(scratch: Path, mounts: Sequence[Mount], uid: int, gid: int, *, kept_too: bool = True) -> None:
    """Make the writable layers of `mounts` anew; without `kept_too` only those that are forgotten after a command.

    No command may be running. Their work directories lie beside `scratch`: the kernel makes unreadable ones in
    them, which would count as a hidden part of the scratch directory.
    """
    some = any(mount.writes != "refused" for mount in mounts)
    for parent in (scratch / "layers", scratch.parent / "work") if some else ():
        parent.mkdir(exist_ok=True)
        parent.chmod(0o755)
    for index, mount in enumerate(mounts):
        if mount.writes == "forgotten" or (kept_too and mount.writes == "kept"):
            upper, work = _places(scratch, index)
            for path in (upper, work):
                remove_tree(path)
                _make(path, uid, gid)
            if os.getuid() == 0 and mount.writes == "kept":
                _mirror(mount.source, upper, uid, gid)


def options(stage: str, scratch: Path, index: int, source: str, target: Path) -> Iterator[str]:
    """bwrap's for the overlay of mount number `index`. `stage` is where bwrap finds the parent of `scratch`."""
    upper, work = (f"{stage}/{path.relative_to(scratch.parent)}" for path in _places(scratch, index))
    yield from ("--overlay-src", source, "--overlay", upper, work, str(target))


def _places(scratch: Path, index: int) -> tuple[Path, Path]:
    return scratch / "layers" / str(index), scratch.parent / "work" / str(index)


def _make(path: Path, uid: int, gid: int) -> None:
    path.mkdir()
    path.chmod(0o755)
    if os.getuid() == 0:
        os.chown(path, uid, gid)


def _mirror(source: Path, upper: Path, uid: int, gid: int) -> None:
    """Make the directories of `source` in `upper`, as the sandbox user's own: root's caches could not be added to.

    A directory that both layers have takes its owner from the upper one. Only the outer few levels count.
    """
    left = _MIRRORED
    waiting = [(source, upper, 0)]
    while waiting and left > 0:
        below, above, depth = waiting.pop()
        with os.scandir(below) as found:
            for entry in found:
                if left > 0 and entry.is_dir(follow_symlinks=False):
                    left -= 1
                    _make(above / entry.name, uid, gid)
                    if depth + 1 < _DEPTH:
                        waiting.append((Path(entry.path), above / entry.name, depth + 1))
