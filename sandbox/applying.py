"""Putting the changes between two snapshots into the user's tree: as a whole or not at all, over nothing unseen."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import recovery
from sandbox.errors import FileRefused, PatchRefused, SandboxError
from sandbox.hostfiles import TEMPORARY_PREFIX, Owner, kind, opened, parent, status, write_temporary
from sandbox.shadow import EXECUTABLE, LINK, Change, Shadow
from sandbox.text import clean_text

__all__ = ["apply_changes"]

_OLD = recovery.BACKUP


@dataclass(frozen=True, slots=True)
class _Step:
    """One change with what was found in its place. `found` is None when nothing is there."""

    change: Change
    found: os.stat_result | None


def apply_changes(root: Path, changes: Sequence[Change], shadow: Shadow) -> tuple[str, ...]:
    """Make `changes` in the tree at `root` and return the paths written. Changes already there are passed over.

    Each file must still be as it was before its change: else PatchRefused names those that are not, and nothing
    is written. A failure on the way (a full disk, a missing permission) puts everything back and raises
    SandboxError. When this process is killed on the way, `recovery.recover` puts everything back: the plan for
    that lies beside the shadow repository. No git runs; the repository's index and everything in `.git` stay as
    they are.
    """
    steps = _verified(root, changes, shadow)
    if not steps:
        return ()
    place, state = TEMPORARY_PREFIX + secrets.token_hex(8), shadow.git_dir.parent
    try:
        plan = recovery.Plan.make(root, place, shadow.object_format, [step.change for step in steps])
        with recovery.keeping(plan, state), _staging(root, place) as area, ExitStack() as undo:
            names = _stage(root, area, steps, shadow)
            for number, step in enumerate(steps):
                if step.found is not None:
                    _set_aside(root, area, step, f"{_OLD}{number}", undo)
            for step in steps:
                if step.change.new is None:
                    _remove_empty_parents(root, step.change.path, undo)
            for name, step in zip(names, steps, strict=True):
                if name:
                    _put_in_place(root, area, step, name, undo)
            recovery.done(state)
            undo.pop_all()
    except OSError as error:
        text = f"the patch could not be applied: {error.strerror or error}; everything is as it was before"
        raise SandboxError(
            text, hint="free some space or repair the permissions, then apply it again"
        ) from error
    return tuple(step.change.path for step in steps)


def _verified(root: Path, changes: Sequence[Change], shadow: Shadow) -> list[_Step]:
    steps: list[_Step] = []
    reasons: list[str] = []
    for change in changes:
        shown = clean_text(change.path)
        try:
            found = _present_status(root, change.path)
            present = recovery.present_file(root, change.path, shadow) if found else None
        except (OSError, FileRefused) as error:
            reasons.append(f"{shown}: {clean_text(str(error))}")
            continue
        if present == change.new:
            continue
        if present == change.old:
            steps.append(_Step(change, found))
        elif change.old is None:
            reasons.append(f"{shown} exists in your tree by now")
        else:
            reasons.append(
                f"{shown} was {'removed' if present is None else 'changed'} in your tree meanwhile"
            )
    if reasons:
        raise PatchRefused(reasons)
    return steps


def _present_status(root: Path, path: str) -> os.stat_result | None:
    try:
        found = status(root, path, links=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    # a directory that stands where a file is to be: it must be empty when its turn comes
    return None if stat.S_ISDIR(found.st_mode) else found


@contextmanager
def _staging(root: Path, place: str) -> Iterator[int]:
    """The new directory `place` in `root`, thus on its file system, for files on their way in and out; removed at the end.

    After a failure what could not be put back from it stays, and SandboxError says where.
    """
    with opened(root, "", os.O_PATH | os.O_DIRECTORY) as top:
        os.mkdir(place, 0o700, dir_fd=top)
        with opened(top, place, os.O_RDONLY | os.O_DIRECTORY, links=False) as area:
            try:
                yield area
            except BaseException as error:
                if stranded := _clear(area, keep=_OLD):
                    text = (
                        f"the patch failed half-way; {len(stranded)} of your files are now in {root / place}"
                    )
                    raise SandboxError(text, hint="move them back by hand") from error
                os.rmdir(place, dir_fd=top)
                raise
            _clear(area)
        with suppress(OSError):
            os.rmdir(place, dir_fd=top)


def _clear(area: int, keep: str | None = None) -> list[str]:
    """Remove the files in `area`, but for those whose names begin with `keep`; the names of those that stay."""
    for name in os.listdir(area):
        if keep is None or not name.startswith(keep):
            with suppress(OSError):
                os.unlink(name, dir_fd=area)
    return os.listdir(area)


def _stage(root: Path, area: int, steps: Sequence[_Step], shadow: Shadow) -> list[str]:
    """Write the new files into `area`; their names there, empty for a deletion. All that takes space happens here."""
    names: list[str] = []
    contents = shadow.blobs([step.change.new.id for step in steps if step.change.new])
    for step in steps:
        if step.change.new is None:
            names.append("")
            continue
        data = next(contents)
        owner = _owner(root, step)
        if step.change.new.mode == LINK:
            name = TEMPORARY_PREFIX + secrets.token_hex(8)
            os.symlink(data, name.encode(), dir_fd=area)
            if owner:
                os.chown(name, *owner, dir_fd=area, follow_symlinks=False)
        else:
            old = step.found.st_mode & 0o777 if step.found and not stat.S_ISLNK(step.found.st_mode) else None
            executable = step.change.new.mode == EXECUTABLE
            name = write_temporary(area, data, _bits(old, executable), owner, masked=old is None)
        names.append(name)
    return names


def _bits(old: int | None, executable: bool) -> int:
    if old is None:
        return 0o777 if executable else 0o666
    return old | (old & 0o444) >> 2 if executable else old & ~0o111


def _owner(root: Path, step: _Step) -> Owner | None:
    """As root: whoever the old file, or else the directory that the new one comes into, belongs to."""
    if os.geteuid() != 0:
        return None
    found = step.found
    path = step.change.path
    while found is None or not (path == step.change.path or stat.S_ISDIR(found.st_mode)):
        path = path.rpartition("/")[0]
        with suppress(FileNotFoundError, NotADirectoryError):
            found = status(root, path, links=False)
    return found.st_uid, found.st_gid


def _set_aside(root: Path, area: int, step: _Step, backup: str, undo: ExitStack) -> None:
    """Keep the present file as `backup` in `area`. One that will be replaced stays in its place as well."""
    path = step.change.path
    with parent(root, path, links=False) as (directory, name):
        now = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if step.found is None or _identity(now) != _identity(step.found):
            raise PatchRefused([f"{clean_text(path)} was changed in your tree meanwhile"])
        undo.callback(_put_back, root, area, path, backup)
        if step.change.new is not None:
            with suppress(OSError):  # some file systems have no hard links
                os.link(name, backup, src_dir_fd=directory, dst_dir_fd=area, follow_symlinks=False)
                return
        os.rename(name, backup, src_dir_fd=directory, dst_dir_fd=area)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _put_back(root: Path, area: int, path: str, backup: str) -> None:
    with suppress(OSError, FileRefused), parent(root, path, links=False) as (directory, name):
        os.replace(backup, name, src_dir_fd=area, dst_dir_fd=directory)
        # rename(2) leaves both names alone when they are the same file already
        os.unlink(backup, dir_fd=area)


def _remove_empty_parents(root: Path, path: str, undo: ExitStack) -> None:
    while (path := path.rpartition("/")[0]) and kind(root, path) == "dir":
        with parent(root, path, links=False) as (directory, name):
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            try:
                os.rmdir(name, dir_fd=directory)
            except OSError:
                return  # something is left in it
        undo.callback(_make_directory, root, path, found)


def _make_directory(root: Path, path: str, like: os.stat_result) -> None:
    with parent(root, path, links=False) as (directory, name):
        os.mkdir(name, like.st_mode & 0o777, dir_fd=directory)
        if os.geteuid() == 0:
            os.chown(name, like.st_uid, like.st_gid, dir_fd=directory, follow_symlinks=False)


def _put_in_place(root: Path, area: int, step: _Step, staged: str, undo: ExitStack) -> None:
    path = step.change.path
    parts = path.split("/")[:-1]
    above = status(root, "")
    for depth in range(1, len(parts) + 1):
        folder = "/".join(parts[:depth])
        try:
            above = status(root, folder, links=False)
        except FileNotFoundError:
            _make_directory(root, folder, above)
            undo.callback(_remove, root, folder, os.rmdir)
    with parent(root, path, links=False) as (directory, name):
        if step.found is not None:
            os.replace(staged, name, src_dir_fd=area, dst_dir_fd=directory)
            return
        try:
            # unlike a rename, a link never replaces what came into being a moment ago
            os.link(staged, name, src_dir_fd=area, dst_dir_fd=directory, follow_symlinks=False)
        except FileExistsError as error:
            raise PatchRefused([f"{clean_text(path)} exists in your tree by now"]) from error
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            os.rename(staged, name, src_dir_fd=area, dst_dir_fd=directory)
        undo.callback(_remove, root, path, os.unlink)


def _remove(root: Path, path: str, how: Callable[..., None]) -> None:
    with suppress(OSError, FileRefused), parent(root, path, links=False) as (directory, name):
        how(name, dir_fd=directory)
