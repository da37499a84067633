"""A git branch with one commit in the user's repository; its worktree, index, HEAD and hooks are left alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import temporary
from sandbox.errors import PatchRefused, SandboxError
from sandbox.hostfiles import Owner
from sandbox.hostgit import GitFailed, git, make_git_directory, user_settings
from sandbox.repository import Repository, has_branch, head_commit
from sandbox.shadow import LINK, Change, Shadow, TreeFile
from sandbox.text import clean_text

__all__ = ["write_branch"]


def write_branch(
    repository: Repository,
    name: str,
    changes: Sequence[Change],
    shadow: Shadow,
    *,
    message: str,
    submodules: Sequence[str] = (),
) -> str:
    """Create the branch `name` with one commit of `changes` on top of HEAD; the id of the commit.

    The user's uncommitted work stays out of the commit: a change to a file with uncommitted edits is merged into
    the committed version. Raises PatchRefused where that is not possible and for changes inside `submodules`;
    SandboxError when there is no repository, the name is taken or not allowed, or git cannot write.
    """
    if repository.git_dir is None or repository.common_dir is None:
        raise SandboxError(
            f"{repository.root} is not a git repository", hint="apply the patch without a branch"
        )
    inside = [c.path for c in changes if any(c.path.startswith(f"{module}/") for module in submodules)]
    if inside:
        raise PatchRefused(
            [f"{clean_text(path)}: inside a submodule, which a branch cannot hold" for path in inside]
        )
    with temporary.directory() as place:
        desk = _Desk.prepare(repository, repository.git_dir, repository.common_dir, place)
        _check_name(desk, name)
        head = head_commit(repository)
        desk.run("read-tree", *([head] if head else ["--empty"]))
        before = desk.run("write-tree", "--missing-ok")
        _put_in_index(desk, changes, shadow)
        tree = desk.run("write-tree", "--missing-ok")
        if tree == before:
            raise SandboxError("nothing differs from the last commit", hint="there is no need for a branch")
        parents = [b"-p", head.encode()] if head else []
        text = clean_text(message).strip() + "\n"
        commit = desk.run("commit-tree", tree, *map(os.fsdecode, parents), stdin=text.encode())
        _create_ref(desk, name, commit)
        return commit


@dataclass(frozen=True, slots=True)
class _Desk:
    """A git directory and an index of our own over the user's objects: their config is not read."""

    repository: Repository
    git_dir: Path
    user_git_dir: Path
    common_dir: Path
    environment: Mapping[str, str]
    owner: Owner

    @classmethod
    def prepare(cls, repository: Repository, user_git_dir: Path, common_dir: Path, place: Path) -> _Desk:
        git_dir = place / "git"
        make_git_directory(git_dir, repository.object_format, bare=False)
        objects = common_dir / "objects"
        found = objects.stat()
        owner = (found.st_uid, found.st_gid)
        if os.geteuid() == 0:  # write as the owner, or they could not use their repository afterwards
            for path in (place, *place.rglob("*")):
                os.chown(path, *owner)
        environment = {"GIT_OBJECT_DIRECTORY": str(objects), **_identity()}
        return cls(repository, git_dir, user_git_dir, common_dir, environment, owner)

    def run(self, *arguments: str, stdin: bytes = b"", accept: Sequence[int] = (0,)) -> str:
        """What git says, without the last newline."""
        output = git(
            arguments,
            git_dir=self.git_dir,
            work_tree=self.repository.root,
            environment=self.environment,
            owner=self.owner,
            stdin=stdin,
            accept=accept,
        )
        return os.fsdecode(output).removesuffix("\n")

    def store(self, data: bytes, path: str, *, raw: bool, write: bool = True) -> str:
        """The id of a blob of `data`, as `path` would be committed (line ends) or `raw`.

        No filter runs: attributes can only name filters, and the config that defines them is ours and empty.
        """
        how = ["--no-filters"] if raw else [f"--path={path}"]
        return self.run("hash-object", *(["-w"] if write else []), "--stdin", *how, stdin=data)


def _identity() -> dict[str, str]:
    user = user_settings()
    name, email = user.get("user.name", "coder"), user.get("user.email", "coder@localhost")
    return {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", name), ("EMAIL", email))
    }


def _check_name(desk: _Desk, name: str) -> None:
    try:
        if name.startswith("-") or name == "HEAD":
            raise GitFailed("no such names")
        desk.run("check-ref-format", f"refs/heads/{name}")
    except (GitFailed, ValueError) as error:
        raise SandboxError(
            f"{clean_text(name)!r} is not a name for a branch", hint="letters, digits, - and /"
        ) from error
    if has_branch(desk.repository, name):
        raise SandboxError(f"there is a branch {name!r} already", hint="choose another name with --branch")


def _put_in_index(desk: _Desk, changes: Sequence[Change], shadow: Shadow) -> None:
    """Bring HEAD's tree, which is in our index, to what it is with `changes`."""
    committed = _entries(desk, [change.path for change in changes])
    lines: list[bytes] = []
    reasons: list[str] = []
    zero = "0" * len(shadow.blob_id(b""))
    for change in changes:
        path = os.fsencode(change.path)
        if change.new is None:
            if change.path in committed:
                lines.insert(0, b"0 %s\t%s" % (zero.encode(), path))
            continue
        blob = _committed_blob(desk, change, change.new, committed.get(change.path), shadow)
        if blob is None:
            reasons.append(f"{clean_text(change.path)}: your uncommitted edits overlap with the patch")
            continue
        lines.append(b"%s %s\t%s" % (change.new.mode.encode(), blob.encode(), path))
    if reasons:
        raise PatchRefused(reasons)
    desk.run("update-index", "-z", "--index-info", stdin=b"".join(line + b"\0" for line in lines))


def _entries(desk: _Desk, paths: Sequence[str]) -> dict[str, TreeFile]:
    wanted = set(paths)
    entries: dict[str, TreeFile] = {}
    for line in desk.run("ls-files", "-z", "--stage").split("\0"):
        about, _, path = line.partition("\t")
        if path in wanted:
            mode, blob, _ = about.split(" ")
            entries[path] = TreeFile(mode, blob)
    return entries


def _committed_blob(
    desk: _Desk, change: Change, new: TreeFile, committed: TreeFile | None, shadow: Shadow
) -> str | None:
    """The blob that `change` leaves at its path in the commit; None when it cannot be merged."""
    raw = new.mode == LINK
    after = shadow.blob(new.id)
    if change.old is None or committed is None:
        return desk.store(after, change.path, raw=raw)
    if committed.id == change.old.id:
        # byte for byte what is committed, whatever the attributes say
        return desk.store(after, change.path, raw=True)
    before = shadow.blob(change.old.id)
    if committed.id == desk.store(before, change.path, raw=raw, write=False):
        return desk.store(after, change.path, raw=raw)
    if LINK in (new.mode, change.old.mode, committed.mode):
        return None
    return _merged(
        desk, committed.id, *(desk.store(data, change.path, raw=False) for data in (before, after))
    )


def _merged(desk: _Desk, ours: str, base: str, theirs: str) -> str | None:
    """The committed version with the patch's edits, by a three-way merge of blobs that are in the repository."""
    with tempfile.TemporaryDirectory(prefix="coder-", dir=desk.git_dir.parent) as place:
        files = []
        for number, blob in enumerate((ours, base, theirs)):
            file = Path(place, str(number))
            file.write_bytes(
                git(
                    ["cat-file", "blob", blob],
                    git_dir=desk.git_dir,
                    environment=desk.environment,
                    owner=desk.owner,
                )
            )
            files.append(str(file))
        if os.geteuid() == 0:
            for path in (place, *files):
                os.chown(path, *desk.owner)
        merging = ["merge-file", "-q", "-p", *files]
        try:
            merged = git(merging, git_dir=desk.git_dir, environment=desk.environment, owner=desk.owner)
        except GitFailed:
            return None  # conflicts, or binary files
    return desk.run("hash-object", "-w", "--stdin", "--no-filters", stdin=merged)


def _create_ref(desk: _Desk, name: str, commit: str) -> None:
    """The one call that has to read the user's config: update-ref runs nothing from it but hooks, which are off."""
    request = ["update-ref", "-m", "coder: created", f"refs/heads/{name}", commit, "0" * len(commit)]
    identity = {key: value for key, value in desk.environment.items() if key != "GIT_OBJECT_DIRECTORY"}
    try:
        git(request, git_dir=desk.user_git_dir, environment=identity, owner=desk.owner, timeout=60)
    except GitFailed as error:
        raise SandboxError(
            f"the branch {name!r} cannot be made: {error}", hint="choose another name"
        ) from error
