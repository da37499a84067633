"""The throw-away repository inside the copy, for the model's own use of git."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.workspace import Workspace
from tests.sandbox.repositories import (
    git,
    inner_git,
    make_repository,
    user_tree,
    write_files,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return user_tree(tmp_path / "source")


@pytest.fixture
def workspace(source: Path, tmp_path: Path) -> Iterator[Workspace]:
    workspace = Workspace.create(source, tmp_path / "state")
    yield workspace
    workspace.close()


def test_git_inside_knows_one_commit_and_nothing_else(workspace: Workspace, source: Path) -> None:
    git(source, "remote", "add", "origin", "https://example.org/secret.git")
    assert inner_git(workspace, "log", "--all", "--format=%s %an") == "base coder\n"
    assert inner_git(workspace, "status", "--porcelain") == ""
    assert inner_git(workspace, "remote", "-v") == ""
    assert inner_git(workspace, "fsck", "--full") == ""
    assert not (workspace.root / ".git/hooks").exists()


def test_git_inside_takes_every_file_as_unchanged_without_reading_it(workspace: Workspace) -> None:
    """diff-files compares what lstat says with the index, and lists a file when that differs."""
    assert inner_git(workspace, "diff-files", "--name-only") == ""
    workspace.write("src/main.py", b"other\n")
    assert inner_git(workspace, "diff-files", "--name-only") == "src/main.py\n"


def test_git_inside_ignores_what_the_repository_ignores(source: Path, tmp_path: Path) -> None:
    write_files(source, {".git/info/exclude": "scratch\n"})
    workspace = Workspace.create(source, tmp_path / "state")
    workspace.write("scratch", b"")
    workspace.write("trace.log", b"")
    assert inner_git(workspace, "status", "--porcelain") == ""


def test_git_inside_works_as_models_use_it(workspace: Workspace) -> None:
    workspace.write("src/main.py", b"other\r\n")
    inner_git(workspace, "stash")
    assert workspace.snapshot() == workspace.base
    inner_git(workspace, "stash", "pop")
    inner_git(workspace, "commit", "-aqm", "mine")
    inner_git(workspace, "checkout", "-qb", "branch")
    assert [change.path for change in workspace.changes()] == ["src/main.py"]


def test_git_inside_leaves_line_ends_alone(tmp_path: Path) -> None:
    """The copy holds what the user has, CRLF or not; git inside must neither see a change nor make one."""
    attributes = {".gitattributes": "* text=auto eol=crlf\n*.id ident\n"}
    source = make_repository(
        tmp_path / "source", {**attributes, "a.txt": "one\r\n", "b.txt": "one\n", "c.id": "$Id$\n"}
    )
    workspace = Workspace.create(source, tmp_path / "state")
    for name in ("a.txt", "b.txt", "c.id"):
        os.utime(workspace.root / name)
    assert inner_git(workspace, "status", "--porcelain") == ""
    for name in ("a.txt", "b.txt", "c.id"):
        workspace.remove(name)
    inner_git(workspace, "checkout", "--", ".")
    assert workspace.snapshot() == workspace.base


def test_what_a_command_does_to_git_inside_changes_nothing_for_us(workspace: Workspace) -> None:
    for path in (workspace.root / ".git").rglob("pack-*"):
        path.unlink()
    (workspace.root / ".git/config").write_text("broken [")
    workspace.write("src/main.py", b"other\n")
    assert b"+other" in workspace.patch()
