"""What is to be reviewed: two snapshots in one private copy."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from coder.errors import UsageError
from coder.workflows.site import Site
from sandbox.errors import SandboxError
from sandbox.hostgit import GitFailed, git
from sandbox.repository import Repository
from sandbox.shadow import TreeFile
from sandbox.workspace import Workspace

APPLY_SECONDS = 60.0
MAINS = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""Where a change is thought to have come from, where nobody says."""


@dataclass(frozen=True, slots=True)
class Between:
    """Snapshots before and after the change. `base` is the commit, where there is one."""

    before: str
    after: str
    base: str = ""


async def since_revision(site: Site, repository: Repository, revision: str) -> Between:
    """The files as they are, uncommitted and new ones too, against a commit: `revision`, or where this branch began.
    Raises UsageError for none that is known."""
    if repository.git_dir is None:
        raise UsageError("there is no git repository here", hint="`--diff FILE` reviews a patch.")
    base = await asyncio.to_thread(_commit, repository, revision)
    workspace = await site.workspace()
    before = await asyncio.to_thread(_tree_of, workspace, repository, base)
    return Between(before, workspace.base, base)


async def with_patch(site: Site, patch: bytes) -> Between:
    """The files as they are, against the same with `patch`. Raises UsageError for a patch that does not apply."""
    workspace = await site.workspace()
    sandbox = await site.sandbox()
    if not sandbox.runs:
        raise UsageError("a patch is applied in a sandbox, and none can be used here", hint="coder doctor")
    result = await sandbox.run("git apply --whitespace=nowarn -", timeout=APPLY_SECONDS, stdin=patch)
    if not result.ok:
        raise UsageError(f"the patch does not apply: {result.text()[-500:].strip()}")
    return Between(workspace.base, await asyncio.to_thread(workspace.snapshot))


def _commit(repository: Repository, revision: str) -> str:
    assert repository.git_dir is not None
    if revision:
        if revision.startswith("-"):
            raise UsageError(f"{revision} is no revision")
        found = _ask(repository.git_dir, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        if not found:
            raise UsageError(
                f"there is no commit {revision}", hint="A shallow clone may lack it: git fetch --unshallow."
            )
        return _ask(repository.git_dir, "merge-base", "HEAD", found) or found
    head = _ask(repository.git_dir, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if not head:
        raise UsageError("the repository has no commits", hint="`--diff FILE` reviews a patch.")
    for name in MAINS:
        main = _ask(repository.git_dir, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if main and (base := _ask(repository.git_dir, "merge-base", "HEAD", main)):
            return base
    return head


def _ask(git_dir: Path, *words: str) -> str:
    try:
        return git(words, git_dir=git_dir, accept=(0, 1, 128)).decode("utf-8", "replace").strip()
    except GitFailed as error:
        raise UsageError(f"git could not say: {error}") from error


def _tree_of(workspace: Workspace, repository: Repository, commit: str) -> str:
    """The commit's files as a snapshot of the copy. Only what differs is read."""
    assert repository.git_dir is not None
    listed = git(["ls-tree", "-r", "-z", "--full-tree", commit], git_dir=repository.git_dir)
    now = workspace.tree_files(workspace.base)
    wanted: dict[str, TreeFile] = {}
    for entry in listed.split(b"\0"):
        head, _, name = entry.partition(b"\t")
        if name and not head.startswith(b"160000"):
            mode, _, blob = head.decode().split(" ")
            wanted[name.decode("utf-8", "surrogateescape")] = TreeFile(mode=mode, id=blob)
    gone = [path for path in now if path not in wanted]
    differing = {path: file for path, file in wanted.items() if path not in now or now[path] != file}
    added: list[tuple[str, str, bytes | str]] = [
        (path, file.mode, git(["cat-file", "blob", file.id], git_dir=repository.git_dir))
        for path, file in differing.items()
    ]
    try:
        return workspace.shadow.write(workspace.base, gone, added) if gone or added else workspace.base
    except SandboxError as error:
        raise UsageError(f"the commit {commit[:12]} cannot be read: {error}") from error
