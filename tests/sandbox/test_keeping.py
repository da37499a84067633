"""Kept snapshots: exact on the same base, merged on another, conflicts named, damage noticed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.keeping import Keeper
from sandbox.workspace import Workspace

LINES = "".join(f"line {number}\n" for number in range(20))
Again = Callable[[], Workspace]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    (path / "a.txt").write_text(LINES)
    (path / "folder").write_text("a file\n")
    (path / "old.txt").write_text("old\n")
    return path


@pytest.fixture
def copy(source: Path, tmp_path: Path) -> Iterator[Again]:
    """Makes new copies of the source, each with a shadow repository of its own."""
    made: list[Workspace] = []

    def again() -> Workspace:
        made.append(Workspace.create(source, tmp_path / f"state-{len(made)}"))
        return made[-1]

    yield again
    for workspace in made:
        workspace.close()


def changed(workspace: Workspace) -> str:
    """Every kind of change."""
    root = workspace.root
    (root / "a.txt").write_text(LINES.replace("line 3\n", "line three\n"))
    (root / "old.txt").unlink()
    (root / "folder").unlink()
    (root / "folder").mkdir()
    (root / "folder/inside.py").write_text("x = 1\n")
    (root / "folder/inside.py").chmod(0o755)
    (root / "link").symlink_to("a.txt")
    (root / "binary").write_bytes(bytes(range(256)) * 50)
    (root / os.fsdecode(b"caf\xe9\n")).write_text("odd\n")
    return workspace.snapshot()


@pytest.fixture
def kept(tmp_path: Path, copy: Again) -> tuple[Keeper, str]:
    keeper = Keeper(tmp_path / "kept")
    workspace = copy()
    tree = changed(workspace)
    keeper.keep(workspace, tree)
    keeper.keep(workspace, tree)
    return keeper, tree


def test_on_the_same_base_the_very_same_tree_comes_back(kept: tuple[Keeper, str], copy: Again) -> None:
    keeper, tree = kept
    workspace = copy()
    assert keeper.bring_back(workspace, tree).tree == tree
    workspace.restore(tree)
    assert workspace.snapshot() == tree
    assert (workspace.root / "link").readlink() == Path("a.txt")


def test_the_start_itself_can_be_kept(tmp_path: Path, copy: Again) -> None:
    keeper = Keeper(tmp_path / "kept")
    workspace = copy()
    keeper.keep(workspace, workspace.base)
    assert keeper.bring_back(copy(), workspace.base).tree == workspace.base


def test_lines_that_both_sides_changed_apart_are_merged(
    kept: tuple[Keeper, str], source: Path, copy: Again
) -> None:
    keeper, tree = kept
    (source / "a.txt").write_text(LINES.replace("line 17\n", "line seventeen\n"))
    workspace = copy()
    back = keeper.bring_back(workspace, tree)
    workspace.restore(back.tree)
    assert back.conflicts == ()
    assert workspace.read("a.txt").count(b"three\n") == 1
    assert workspace.read("a.txt").count(b"seventeen\n") == 1


def test_what_cannot_be_brought_together_is_named_and_kept_aside(
    kept: tuple[Keeper, str], source: Path, copy: Again
) -> None:
    keeper, tree = kept
    (source / "a.txt").write_text(LINES.replace("line 3\n", "line drei\n"))
    (source / "old.txt").write_text("not so old\n")
    (source / "folder").write_text("another file\n")
    (source / "binary").write_bytes(b"\0mine")
    workspace = copy()
    back = keeper.bring_back(workspace, tree)
    workspace.restore(back.tree)
    assert {each.path for each in back.conflicts} == {
        "a.txt",
        "old.txt",
        "folder",
        "folder/inside.py",
        "binary",
    }
    copies = {each.path: each.copy for each in back.conflicts}
    assert copies["old.txt"] is None
    assert copies["folder/inside.py"] is not None
    assert copies["folder/inside.py"].read_text() == "x = 1\n"
    assert workspace.read("a.txt").count(b"drei") == 1
    assert workspace.read("binary") == b"\0mine"
    assert workspace.kind("link") == "symlink"


def test_what_the_user_has_by_now_is_no_change(kept: tuple[Keeper, str], source: Path, copy: Again) -> None:
    keeper, tree = kept
    (source / "old.txt").unlink()
    (source / "a.txt").write_text(LINES.replace("line 3\n", "line three\n"))
    assert keeper.bring_back(copy(), tree).tree == tree


def test_damage_is_noticed(kept: tuple[Keeper, str], tmp_path: Path, copy: Again) -> None:
    keeper, tree = kept
    workspace = copy()
    for blob in (tmp_path / "kept/blobs").iterdir():
        blob.write_bytes(b"\x78\x01")
    with pytest.raises(SandboxError, match="damaged"):
        keeper.bring_back(workspace, tree)
    (tmp_path / f"kept/trees/{tree}.json").write_text('[["a"]]')
    with pytest.raises(SandboxError, match="damaged"):
        keeper.bring_back(workspace, tree)
    with pytest.raises(SandboxError, match="was not kept"):
        keeper.bring_back(workspace, "0" * 40)
    with pytest.raises(SandboxError, match="names no snapshot"):
        keeper.bring_back(workspace, "../../etc/passwd")
