"""The workspace: a disposable copy of the user's repository that the sandbox sees, and its history of snapshots."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sandbox import hostfiles
from sandbox.applying import apply_changes
from sandbox.branches import write_branch
from sandbox.errors import FileRefused, SandboxError
from sandbox.hostfiles import Kind, Owner
from sandbox.patches import Flag, check_changes
from sandbox.populate import (
    Limits,
    Progress,
    SourceFile,
    finish_git,
    hide_from_git,
    place_files,
    read_sources,
)
from sandbox.repository import Repository, find_repository, ignore_rules, list_files
from sandbox.shadow import LINK, PATCH_LIMIT, REGULAR, Change, Shadow, TreeFile
from sandbox.snapshots import Snapshots
from sandbox.walking import Entry, Skipped, is_git_name, list_directory, remove_tree

__all__ = ["Change", "Limits", "TreeFile", "Workspace", "sandbox_uid"]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sandbox_uid() -> int:
    """The user that commands run as: ourselves, or 1000 when we are root."""
    return os.getuid() or 1000


class Workspace:
    """A private copy of a repository, made by `create` or `fresh`.

    Paths in its methods are relative to `root`, with `/` between components. Everything here blocks; it may be
    called from any thread.
    """

    def __init__(
        self, root: Path, repository: Repository, shadow: Shadow, base: str, *, uid: int, limits: Limits
    ) -> None:
        self.root = root
        """The directory that is mounted in the sandbox."""
        self.repository = repository
        self.source = repository.root
        """The user's own tree, which nothing here writes to but `apply_to_source`."""
        self.shadow = shadow
        self.base = base
        """The tree id of what the copy held at the start."""
        self.uid = uid
        self.limits = limits
        self.skipped: tuple[Skipped, ...] = ()
        """What of the user's files was left out of the copy, and why."""
        self.submodules: tuple[str, ...] = ()
        """Directories that are repositories of their own in the user's tree and plain files in the copy."""
        self._snapshots = Snapshots(root, shadow, limits)
        self._owns_shadow = False

    @classmethod
    def create(
        cls,
        source: Path,
        state: Path,
        *,
        uid: int | None = None,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> Workspace:
        """Copy the repository that holds `source` to `state/workspace`; the shadow goes to `state/shadow.git`.

        The copy belongs to `uid` (default `sandbox_uid()`) when we are root. `progress` is called now and then;
        an exception that it raises ends the copying. Whatever goes wrong, nothing is left in `state`.
        Raises SandboxError when there is nothing to copy from, too much to copy, or no room for it.
        """
        limits = limits or Limits()
        repository = find_repository(source)
        listing = list_files(repository)
        skipped = list(listing.skipped)
        ignore = ignore_rules(repository)
        with _new_state(state, repository.root):
            shadow = Shadow.create(state / "shadow.git", state / "rules", repository.object_format, ignore)
            workspace = cls(
                state / "workspace",
                repository,
                shadow,
                "",
                uid=sandbox_uid() if uid is None else uid,
                limits=limits,
            )
            sources = read_sources(repository.root, listing.files, limits, skipped)
            workspace._fill(sources, ignore, share=True, total=len(listing.files), progress=progress)
            workspace._owns_shadow = True
            workspace._freeze_rules()
        workspace.skipped = tuple(skipped)
        workspace.submodules = listing.submodules
        return workspace

    def fresh(
        self,
        state: Path,
        tree: str | None = None,
        *,
        overlay: Mapping[str, bytes | TreeFile | None] | None = None,
        progress: Progress | None = None,
    ) -> Workspace:
        """A new copy of a snapshot (default: the base) in `state/workspace`, on the same shadow repository.

        `overlay` replaces files: bytes for new content, a TreeFile of this shadow, None to leave the file out.
        What commands left behind here (ignored files, `.git`) is not in it.
        """
        tree = self.compose(tree or self.base, overlay or {})
        files = self.shadow.tree_files(tree)
        with _new_state(state, self.source):
            other = Workspace(
                state / "workspace", self.repository, self.shadow, tree, uid=self.uid, limits=self.limits
            )
            contents = self.shadow.blobs(file.id for file in files.values())
            sources = (
                SourceFile(path, file.mode, data)
                for (path, file), data in zip(files.items(), contents, strict=True)
            )
            ignore = (self.shadow.git_dir / "info/exclude").read_bytes()
            other._fill(sources, ignore, share=False, total=len(files), progress=progress)
        other.submodules = self.submodules
        return other

    def close(self, *, keep_shadow: bool = False) -> None:
        """Remove the copy, and the shadow repository unless told to keep it or it belongs to another workspace.

        Safe to call twice.
        """
        remove_tree(self.root)
        if self._owns_shadow and not keep_shadow:
            remove_tree(self.shadow.git_dir)
            remove_tree(self.shadow.rules)

    # Files

    def read(self, path: str, limit: int = hostfiles.DEFAULT_LIMIT) -> bytes:
        """The content of a file; see hostfiles.read_bytes for what is raised."""
        return hostfiles.read_bytes(self.root, path, limit)

    def write(self, path: str, data: bytes) -> None:
        """Create or replace a file in one step, its permissions kept; see hostfiles.write_bytes for what is raised."""
        self._refuse_git(path)
        hostfiles.write_bytes(self.root, path, data, owner=self._owner)

    def remove(self, path: str) -> None:
        """Remove a file or a link. Raises IsADirectoryError for a directory, FileNotFoundError for nothing."""
        self._refuse_git(path)
        hostfiles.remove(self.root, path)

    def kind(self, path: str) -> Kind | None:
        """What `path` is, or None; links are not followed."""
        return hostfiles.kind(self.root, path)

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`, a dangling link included."""
        return self.kind(path) is not None

    def list(self, path: str = ".", depth: int = 1, limit: int = 1000) -> list[Entry]:
        """At most `limit` entries beneath a directory, sorted, `.git` left out. Their paths are relative to it."""
        return list_directory(self.root, path, depth=depth, limit=limit)

    def make_links(self, links: Mapping[str, str]) -> None:
        """Make symbolic links, such as `node_modules`, to where `links` says, each only where there is nothing.

        What is at and beneath such a link, then or later, is no part of any snapshot. Raises FileRefused.
        """
        for path, target in links.items():
            self._refuse_git(path)
            name = "/".join(hostfiles.parts_of(path))
            if self.kind(name) is not None:
                continue
            hostfiles.make_link(self.root, name, target, owner=self._owner, links=False)
            self._snapshots.leave_out(name)
            hide_from_git(self.root, name, self._owner)

    # Snapshots

    def snapshot(self) -> str:
        """The tree id of the present state; see Snapshots.take for what is left out and raised."""
        return self._snapshots.take()

    @property
    def unseen(self) -> tuple[Skipped, ...]:
        """What the latest snapshot could not take in, and why."""
        return self._snapshots.skipped

    def changes(self, since: str | None = None, until: str | None = None) -> Sequence[Change]:
        """What changed from one snapshot (default: the base) to another (default: now)."""
        return self.shadow.changes(since or self.base, until or self.snapshot())

    def patch(self, since: str | None = None, until: str | None = None, limit: int = PATCH_LIMIT) -> bytes:
        """The same as a git patch, byte-exact."""
        return self.shadow.patch(since or self.base, until or self.snapshot(), limit)

    def tree_files(self, tree: str) -> dict[str, TreeFile]:
        """Every file of a snapshot by path."""
        return self.shadow.tree_files(tree)

    def compose(self, tree: str, overlay: Mapping[str, bytes | TreeFile | None]) -> str:
        """The id of a new tree: `tree` with files replaced, as `fresh` explains. No file is written."""
        if not overlay:
            return tree
        before = self.shadow.tree_files(tree)
        deleted = [path for path, content in overlay.items() if content is None and path in before]
        added: list[tuple[str, str, bytes | str]] = []
        for path, content in overlay.items():
            if isinstance(content, TreeFile):
                added.append((path, content.mode, content.id))
            elif content is not None:
                added.append((path, before[path].mode if path in before else REGULAR, content))
        return self.shadow.write(tree, deleted, added)

    def restore(self, tree: str, paths: Iterable[str] | None = None) -> None:
        """Put files back as they were in a snapshot: all, or those in and beneath `paths`. Ignored files stay."""
        wanted = None if paths is None else [path.strip("/") for path in paths]
        changes = [c for c in self.changes(tree) if wanted is None or _beneath(c.path, wanted)]
        for change in changes:
            if change.old is None:
                hostfiles.remove(self.root, change.path, links=False)
        wanted_files = [(change.path, change.old) for change in changes if change.old is not None]
        for (path, file), data in zip(
            wanted_files, self.shadow.blobs(f.id for _, f in wanted_files), strict=True
        ):
            self._put(path, file, data)
        self.snapshot()

    # Handing over

    def judge(self, since: str | None = None, until: str | None = None) -> tuple[Flag, ...]:
        """What deserves a second look in the changes. Raises PatchRefused when they may not be applied at all."""
        return check_changes(self.changes(since, until), lambda file: self.shadow.blob(file.id))

    def apply_to_source(self, since: str | None = None, until: str | None = None) -> tuple[str, ...]:
        """Make the changes in the user's tree, as a whole or not at all; the paths written. See apply_changes."""
        since, until = since or self.base, until or self.snapshot()
        self.judge(since, until)
        return apply_changes(self.source, self.changes(since, until), self.shadow)

    def write_branch(
        self, name: str, *, message: str, since: str | None = None, until: str | None = None
    ) -> str:
        """Commit the changes to a new branch of the user's repository; the commit. See branches.write_branch."""
        since, until = since or self.base, until or self.snapshot()
        self.judge(since, until)
        changes = self.changes(since, until)
        return write_branch(
            self.repository, name, changes, self.shadow, message=message, submodules=self.submodules
        )

    # Making

    def _put(self, path: str, file: TreeFile, data: bytes) -> None:
        self._clear_way(path)
        if file.mode == LINK:
            hostfiles.make_link(self.root, path, os.fsdecode(data), owner=self._owner, links=False)
            return
        bits = 0o755 if file.mode == "100755" else 0o644
        hostfiles.write_bytes(self.root, path, data, mode=bits, owner=self._owner, links=False)

    def _clear_way(self, path: str) -> None:
        """Remove what stands where `path` or one of its directories must be."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            if self.kind(above) not in (None, "dir"):
                hostfiles.remove(self.root, above, links=False)
        if self.kind(path) == "dir":
            with hostfiles.parent(self.root, path, links=False) as (directory, name):
                remove_tree(Path(f"/proc/self/fd/{directory}", name))

    @property
    def _owner(self) -> Owner | None:
        return (self.uid, self.uid) if os.geteuid() == 0 and self.uid != 0 else None

    def _fill(
        self,
        sources: Iterable[SourceFile],
        ignore: bytes,
        *,
        share: bool,
        total: int,
        progress: Progress | None,
    ) -> None:
        tree, placed = place_files(
            self.root,
            sources,
            object_format=self.shadow.object_format,
            owner=self._owner,
            limits=self.limits,
            total=total,
            progress=progress,
        )
        if share:
            packs = self.root / ".git/objects/pack"
            for pack in packs.iterdir():
                shutil.copyfile(pack, self.shadow.git_dir / "objects/pack" / pack.name)
        files = self.shadow.tree_files(tree)
        finish_git(self.root, placed, files, ignore, self._owner)
        self.base = tree
        self._snapshots.start(tree, files, {item.path: item.status for item in placed})

    def _freeze_rules(self) -> None:
        """Keep the `.gitignore` files of the base where no sandbox can change them."""
        files = self.shadow.tree_files(self.base).items()
        rules = {
            path: file.id
            for path, file in files
            if path.rpartition("/")[2] == ".gitignore" and file.mode != LINK
        }
        for path, data in zip(rules, self.shadow.blobs(rules.values()), strict=True):
            target = self.shadow.rules / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def _refuse_git(self, path: str) -> None:
        if any(map(is_git_name, hostfiles.parts_of(path))):
            raise FileRefused(f"{path!r} is git's own", hint="use git in a command")


@contextmanager
def _new_state(state: Path, source: Path) -> Iterator[None]:
    """A state directory that holds no workspace yet; on failure what was made in it is removed."""
    made = [state / name for name in ("workspace", "shadow.git", "rules")]
    if state.resolve().is_relative_to(source.resolve()):
        raise SandboxError(f"{state} lies inside {source}", hint="keep the state outside the repository")
    try:
        state.mkdir(parents=True, exist_ok=True)
        # others may pass through (the sandbox's user has to) but not look around
        state.chmod(0o711 if os.geteuid() == 0 else 0o700)
        if any(path.exists() for path in made):
            raise SandboxError(f"{state} already holds a workspace", hint="use another directory")
    except OSError as error:
        raise SandboxError(f"{state} cannot be used: {error}") from error
    try:
        yield
    except OSError as error:
        _discard(made)
        hint = "free some space there, or keep the state elsewhere" if error.errno in _NO_ROOM else ""
        raise SandboxError(
            f"the copy in {state} could not be made: {error.strerror or error}", hint=hint
        ) from error
    except BaseException:
        _discard(made)
        raise


def _discard(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            remove_tree(path)


def _beneath(path: str, wanted: Iterable[str]) -> bool:
    return any(above in ("", ".", path) or path.startswith(f"{above}/") for above in wanted)
