"""Going back to a snapshot, and making other copies of one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.workspace import TreeFile, Workspace
from tests.sandbox.repositories import (
    contents,
    inner_git,
    user_tree,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return user_tree(tmp_path / "source")


@pytest.fixture
def workspace(source: Path, tmp_path: Path) -> Iterator[Workspace]:
    workspace = Workspace.create(source, tmp_path / "state")
    yield workspace
    workspace.close()


# Going back


def test_restores_everything(workspace: Workspace) -> None:
    before = contents(workspace.root)
    workspace.write("src/main.py", b"other\n")
    workspace.write("added/deep.py", b"")
    for name in ("run.sh", "link", "data.bin"):
        workspace.remove(name)
    workspace.write("data.bin/now-a-directory", b"")
    workspace.write("data.bin/__pycache__/debris.pyc", b"")
    (workspace.root / "link").symlink_to("elsewhere")
    workspace.restore(workspace.base)
    assert contents(workspace.root) == before
    assert workspace.snapshot() == workspace.base
    assert os.access(workspace.root / "run.sh", os.X_OK)
    assert os.lstat(workspace.root / "data.bin").st_uid == workspace.uid


def test_restores_a_directory_that_became_a_link(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    workspace.remove("src/main.py")
    (workspace.root / "src").rmdir()
    (workspace.root / "src").symlink_to(tmp_path / "outside")
    workspace.restore(workspace.base)
    assert workspace.read("src/main.py") == b"print('uncommitted')\n"
    assert os.listdir(tmp_path / "outside") == []


def test_restores_one_path(workspace: Workspace) -> None:
    workspace.write("src/main.py", b"other\n")
    workspace.write("src/added.py", b"")
    workspace.write("run.sh", b"other\n")
    workspace.restore(workspace.base, ["src"])
    assert [change.path for change in workspace.changes()] == ["run.sh"]


def test_goes_back_and_forth_between_snapshots(workspace: Workspace) -> None:
    workspace.write("a.py", b"1\n")
    first = workspace.snapshot()
    workspace.write("a.py", b"2\n")
    second = workspace.snapshot()
    workspace.restore(first)
    assert workspace.read("a.py") == b"1\n"
    workspace.restore(second)
    assert workspace.read("a.py") == b"2\n"


def test_ignored_files_stay_when_going_back(workspace: Workspace) -> None:
    workspace.write("trace.log", b"kept")
    workspace.restore(workspace.base)
    assert workspace.read("trace.log") == b"kept"


# Fresh copies


def test_a_fresh_copy_holds_a_snapshot_and_nothing_that_commands_left(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.write("src/main.py", b"fixed\r\n")
    workspace.write("trace.log", b"left behind")
    (workspace.root / ".git/hooks").mkdir()
    (workspace.root / ".git/hooks/post-checkout").write_text("#!/bin/sh\n")
    fixed = workspace.snapshot()
    other = workspace.fresh(tmp_path / "other", fixed)
    expected = contents(workspace.root)
    del expected["trace.log"]
    assert contents(other.root) == expected
    assert other.base == other.snapshot() == fixed
    assert not (other.root / ".git/hooks").exists()
    assert {os.lstat(path).st_uid for path in other.root.rglob("*")} == {workspace.uid}
    assert inner_git(other, "status", "--porcelain") == ""


def test_a_fresh_copy_is_independent(workspace: Workspace, tmp_path: Path) -> None:
    other = workspace.fresh(tmp_path / "other")
    other.write("src/main.py", b"other\n")
    other.write("trace.log", b"ignored here, too")
    assert [change.path for change in other.changes()] == ["src/main.py"]
    assert list(workspace.changes()) == []
    other.close()
    workspace.write("a.py", b"")
    assert [change.path for change in workspace.changes()] == ["a.py"]


def test_an_overlay_replaces_files(workspace: Workspace, tmp_path: Path) -> None:
    workspace.write("run.sh", b"#!/bin/sh\nfixed\n")
    workspace.write("src/main.py", b"fixed\n")
    base = workspace.tree_files(workspace.base)
    overlay: dict[str, bytes | TreeFile | None] = {
        "src/main.py": base["src/main.py"],
        "run.sh": b"#!/bin/sh\nbytes\n",
        "new/test.py": b"new\n",
        "data.bin": None,
        "not there": None,
    }
    other = workspace.fresh(tmp_path / "other", workspace.snapshot(), overlay=overlay)
    assert other.read("src/main.py") == b"print('uncommitted')\n"
    assert other.read("run.sh") == b"#!/bin/sh\nbytes\n"
    assert os.access(other.root / "run.sh", os.X_OK)
    assert other.read("new/test.py") == b"new\n"
    assert not other.exists("data.bin")


def test_many_copies_at_once(workspace: Workspace, tmp_path: Path) -> None:
    """Candidates work side by side over one shadow repository."""

    def candidate(number: int) -> bytes:
        other = workspace.fresh(tmp_path / str(number))
        for turn in range(3):
            other.write("src/main.py", f"{number} {turn}\n".encode())
            other.snapshot()
        patch = other.patch()
        other.close()
        return patch

    with ThreadPoolExecutor(4) as pool:
        patches = list(pool.map(candidate, range(6)))
    assert all(f"+{number} 2\n".encode() in patch for number, patch in enumerate(patches))


def test_snapshots_from_many_threads(workspace: Workspace) -> None:
    failures: list[BaseException] = []

    def edit(number: int) -> None:
        try:
            for turn in range(3):
                workspace.write(f"{number}.py", f"{turn}".encode())
                workspace.snapshot()
        except BaseException as error:  # noqa: BLE001 - reported by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {change.path for change in workspace.changes()} == {"0.py", "1.py", "2.py", "3.py"}
