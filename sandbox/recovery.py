"""What a killed process left half done in the user's tree: planned before it begins, put back by the next start.

The plan lies beside the shadow repository, where neither a repository nor a sandbox can write one.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import FileRefused
from sandbox.hostfiles import opened, parent, read_bytes, read_link, status
from sandbox.shadow import EXECUTABLE, LINK, REGULAR, Change, Shadow, TreeFile

__all__ = ["BACKUP", "PLAN", "Plan", "done", "keeping", "present_file", "recover"]

PLAN, _DONE = "applying.json", "applied.json"
BACKUP = "old-"
"""Begins the name, in the area, of a file as it was before; the number of its step follows."""

_LARGEST = 1 << 30
_Folder = tuple[int, int, int]
_Step = tuple[str, TreeFile | None, TreeFile | None]


@dataclass(slots=True)
class Plan:
    """What is about to change beneath `root`, and enough to undo it. `area` is the directory of the backups there."""

    root: Path
    area: str
    object_format: str
    steps: list[_Step]
    folders: dict[str, _Folder] = field(default_factory=dict)
    """Directories that may go with their last file: mode, user and group."""
    missing: list[str] = field(default_factory=list)
    """Directories that are to be made, the outermost first."""

    @classmethod
    def make(cls, root: Path, area: str, object_format: str, changes: Sequence[Change]) -> Plan:
        """Look at the tree as it is now. The steps have the numbers of `changes`."""
        plan = cls(root, area, object_format, [(each.path, each.old, each.new) for each in changes])
        for path, _, new in plan.steps:
            for folder in _above(path):
                found = _directory(root, folder)
                if found is not None and new is None:
                    plan.folders[folder] = (found.st_mode & 0o7777, found.st_uid, found.st_gid)
                elif found is None and new is not None and folder not in plan.missing:
                    plan.missing.append(folder)
        return plan

    def encode(self) -> str:
        steps = [(path, _pair(old), _pair(new)) for path, old, new in self.steps]
        return json.dumps([str(self.root), self.area, self.object_format, steps, self.folders, self.missing])

    @classmethod
    def decode(cls, text: str) -> Plan:
        """Raises ValueError for what is no plan."""
        try:
            root, area, object_format, steps, folders, missing = json.loads(text)
            return cls(
                Path(root),
                area,
                object_format,
                [(path, _file(old), _file(new)) for path, old, new in steps],
                {path: (mode, uid, gid) for path, (mode, uid, gid) in folders.items()},
                missing,
            )
        except (TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error


@contextmanager
def keeping(plan: Plan, state: Path) -> Iterator[None]:
    """Keep the plan in `state` within the block, which either does everything or puts everything back."""
    path = state / PLAN
    draft = path.with_suffix(".draft")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(plan.encode())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    try:
        yield
    finally:
        for name in (PLAN, _DONE):
            (state / name).unlink(missing_ok=True)


def done(state: Path) -> None:
    """Everything is in its place: from here on nothing is put back."""
    (state / PLAN).rename(state / _DONE)


def recover(state: Path) -> list[str]:
    """Put back what the plan in `state` began and did not finish; the process that made it must be gone.

    Returns what the user should know, a sentence each; a file that somebody changed since then stays as it is.
    Raises OSError.
    """
    said: list[str] = []
    for name in (PLAN, _DONE):
        with suppress(FileNotFoundError), (state / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not os.fstat(file.fileno()).st_nlink:
                continue  # another process has seen to it meanwhile
            with suppress(ValueError):
                said += _recover(Plan.decode(file.read()), back=name == PLAN)
            (state / name).unlink()
    return said


def _recover(plan: Plan, *, back: bool) -> list[str]:
    """Take everything back, or only clear the area away."""
    with ExitStack() as stack:
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY
            area = stack.enter_context(opened(plan.root, plan.area, flags, links=False))
        except (FileNotFoundError, NotADirectoryError, FileRefused):
            return []  # it had not begun, or all was cleared away
        lost = _take_back(plan, area) if back else []
        kept = {f"{BACKUP}{number}" for number in lost}
        for name in os.listdir(area):
            if name not in kept:
                os.unlink(name, dir_fd=area)
    said = [f"an earlier run was killed while it changed {plan.root}: its change was undone"] if back else []
    if lost:
        paths = ", ".join(plan.steps[number][0] for number in lost)
        said.append(f"changed since then, so left alone: {paths} (as before: in {plan.root / plan.area})")
    else:
        (plan.root / plan.area).rmdir()
    return said


def _take_back(plan: Plan, area: int) -> list[int]:
    """Undo every step; the numbers of those whose files were changed by somebody else."""
    shadow = Shadow(Path(), Path(), plan.object_format)
    backups = set(os.listdir(area))
    lost: list[int] = []
    for path, old, new in plan.steps:
        with suppress(OSError, FileRefused):
            if old is None and present_file(plan.root, path, shadow) == new:
                with parent(plan.root, path, links=False) as (directory, name):
                    os.unlink(name, dir_fd=directory)
    for folder in reversed(plan.missing):
        with suppress(OSError, FileRefused), parent(plan.root, folder, links=False) as (directory, name):
            os.rmdir(name, dir_fd=directory)
    for number, (path, old, new) in enumerate(plan.steps):
        if f"{BACKUP}{number}" not in backups:
            continue  # not yet set aside
        try:
            if _is_same_file(plan.root, path, area, f"{BACKUP}{number}"):
                continue  # not yet replaced; whatever is in it is the user's
            if present_file(plan.root, path, shadow) in (None, old, new):
                _put_back(plan, path, area, f"{BACKUP}{number}")
            else:
                lost.append(number)
        except (OSError, FileRefused):
            lost.append(number)
    return lost


def _is_same_file(root: Path, path: str, area: int, backup: str) -> bool:
    kept = os.stat(backup, dir_fd=area, follow_symlinks=False)
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.path.samestat(kept, status(root, path, links=False))
    return False


def _put_back(plan: Plan, path: str, area: int, backup: str) -> None:
    _make_folders(plan, path)
    with parent(plan.root, path, links=False) as (directory, name):
        os.replace(backup, name, src_dir_fd=area, dst_dir_fd=directory)


def _make_folders(plan: Plan, path: str) -> None:
    for folder in _above(path):
        if folder in plan.folders and _directory(plan.root, folder) is None:
            mode, uid, gid = plan.folders[folder]
            with parent(plan.root, folder, links=False) as (directory, name):
                os.mkdir(name, mode, dir_fd=directory)
                if os.geteuid() == 0:
                    os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)


def present_file(root: Path, path: str, shadow: Shadow) -> TreeFile | None:
    """What is at `path` now, as a snapshot would have it; None for nothing and for a directory."""
    try:
        found = status(root, path, links=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(found.st_mode):
        return None
    if stat.S_ISLNK(found.st_mode):
        return TreeFile(LINK, shadow.blob_id(os.fsencode(read_link(root, path))))
    mode = EXECUTABLE if found.st_mode & stat.S_IXUSR else REGULAR
    return TreeFile(mode, shadow.blob_id(read_bytes(root, path, _LARGEST, links=False)))


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _directory(root: Path, path: str) -> os.stat_result | None:
    try:
        found = status(root, path, links=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if stat.S_ISDIR(found.st_mode) else None


def _pair(file: TreeFile | None) -> tuple[str, str] | None:
    return (file.mode, file.id) if file else None


def _file(pair: Sequence[str] | None) -> TreeFile | None:
    return TreeFile(*pair) if pair else None
