"""Snapshots: git's own tree ids, made without git ever walking what a sandbox wrote."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.errors import SandboxError
from sandbox.snapshots import is_debris
from sandbox.workspace import Limits, Workspace
from tests.sandbox.repositories import Files, git, make_repository, ordinary_user, write_files

START: Files = {
    "src/main.py": "print('hello')\n",
    "src/util.py": "def util(): ...\n",
    "data.bin": bytes(range(256)),
    "crlf.txt": "one\r\ntwo\r\n",
    "no-newline": "end",
    ".gitignore": "*.log\n/build/\n!keep.log\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    source = make_repository(tmp_path / "source", START)
    workspace = Workspace.create(source, tmp_path / "state")
    yield workspace
    workspace.close()


def changed(workspace: Workspace) -> dict[str, str]:
    return {change.path: change.kind for change in workspace.changes()}


def git_tree(root: Path) -> str:
    """The id that git itself gives to the files beneath `root`."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "copy")
        shutil.copytree(root, copy, symlinks=True, ignore=lambda *_: [".git"])
        git(copy, "init", "-q")
        git(copy, "add", "-A", "-f", ".")
        return git(copy, "write-tree").strip()


def test_the_tree_is_the_one_that_git_makes(workspace: Workspace) -> None:
    assert workspace.base == git_tree(workspace.source)
    workspace.write("src/main.py", b"print('bye')\n")
    workspace.write("new/deep/file.py", b"")
    workspace.remove("src/util.py")
    (workspace.root / "link").symlink_to("src/main.py")
    (workspace.root / "data.bin").chmod(0o755)
    assert workspace.snapshot() == git_tree(workspace.root)


def test_no_change_is_the_same_tree(workspace: Workspace) -> None:
    assert workspace.snapshot() == workspace.base
    os.utime(workspace.root / "src/main.py")
    (workspace.root / "empty").mkdir()
    assert workspace.snapshot() == workspace.base
    assert workspace.patch() == b""


def test_every_kind_of_change(workspace: Workspace) -> None:
    root = workspace.root
    workspace.write("src/main.py", b"other\n")
    workspace.write("added.py", b"")
    workspace.remove("src/util.py")
    (root / "crlf.txt").chmod(0o755)
    (root / "no-newline").unlink()
    (root / "no-newline").symlink_to("data.bin")
    assert changed(workspace) == {
        "src/main.py": "modified",
        "added.py": "added",
        "src/util.py": "deleted",
        "crlf.txt": "mode",
        "no-newline": "modified",
    }
    modes = {change.path: (change.old_mode, change.new_mode) for change in workspace.changes()}
    assert modes["crlf.txt"] == ("100644", "100755")
    assert modes["no-newline"] == ("100644", "120000")
    assert modes["added.py"] == (None, "100644")


def test_a_file_becomes_a_directory_and_back(workspace: Workspace) -> None:
    workspace.remove("data.bin")
    workspace.write("data.bin/inner", b"x")
    first = workspace.snapshot()
    assert changed(workspace) == {"data.bin": "deleted", "data.bin/inner": "added"}
    shutil.rmtree(workspace.root / "data.bin")
    workspace.write("data.bin", bytes(range(256)))
    assert workspace.snapshot() == workspace.base != first


def test_an_edit_that_hides_behind_its_size_and_time_is_seen(workspace: Workspace) -> None:
    path = workspace.root / "src/main.py"
    time.sleep(0.1)  # long enough at rest for its times to be relied on
    assert workspace.snapshot() == workspace.base
    before = path.stat()
    path.write_text("print('HELLO')\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert changed(workspace) == {"src/main.py": "modified"}


def test_edits_within_one_tick_of_the_clock_are_seen(workspace: Workspace) -> None:
    path = workspace.root / "src/main.py"
    trees = []
    for number in range(20):
        path.write_text(f"{number:04}")
        trees.append(workspace.snapshot())
    assert len(set(trees)) == 20


def test_a_step_between_two_snapshots(workspace: Workspace) -> None:
    workspace.write("one.py", b"1\n")
    first = workspace.snapshot()
    workspace.write("two.py", b"2\n")
    assert [change.path for change in workspace.changes(since=first)] == ["two.py"]
    assert [change.path for change in workspace.changes(until=first)] == ["one.py"]
    assert b"two.py" in workspace.patch(since=first)
    assert b"one.py" not in workspace.patch(since=first)


# What stays out


def test_new_ignored_files_stay_out_and_tracked_ones_stay_in(workspace: Workspace) -> None:
    for path in ("trace.log", "sub/trace.log", "build/out.o", "sub/build/kept.o", "keep.log"):
        workspace.write(path, b"x")
    assert changed(workspace) == {"sub/build/kept.o": "added", "keep.log": "added"}


def test_the_rules_are_those_of_the_start(workspace: Workspace) -> None:
    """A command cannot hide its edits by ignoring them."""
    workspace.write(".gitignore", b"*\n")
    workspace.write("src/.gitignore", b"*\n")
    workspace.write("src/new.py", b"x")
    workspace.write("trace.log", b"x")
    (workspace.root / ".git/info/exclude").write_text("*\n")
    assert changed(workspace) == {".gitignore": "modified", "src/.gitignore": "added", "src/new.py": "added"}


def test_what_programs_leave_behind_stays_out(workspace: Workspace) -> None:
    for path in ("src/__pycache__/main.cpython-311.pyc", ".pytest_cache/v/x", "x.pyc", ".coder-internal-1"):
        workspace.write(path, b"x")
    assert changed(workspace) == {}
    assert is_debris("a/__pycache__/b/c.txt")
    assert not is_debris("a/pycache/c.py")


def test_tracked_debris_is_left_as_it_was(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "source", {"a.pyc": "tracked", "__pycache__/b": "tracked"})
    workspace = Workspace.create(source, tmp_path / "state")
    assert set(workspace.tree_files(workspace.base)) == {"a.pyc", "__pycache__/b"}
    workspace.write("a.pyc", b"compiled anew")
    workspace.remove("__pycache__/b")
    assert workspace.snapshot() == workspace.base


def test_a_git_directory_stays_out_and_the_files_around_it_stay_in(workspace: Workspace) -> None:
    make_repository(workspace.root / "nested", {"file.py": ""})
    write_files(workspace.root, {"src/.git/config": "x", "src/.GIT": "x"})
    assert changed(workspace) == {"nested/file.py": "added"}


def test_special_files_are_reported(workspace: Workspace) -> None:
    os.mkfifo(workspace.root / "fifo")
    (workspace.root / "data.bin").unlink()
    os.mkfifo(workspace.root / "data.bin")
    assert changed(workspace) == {"data.bin": "deleted"}
    assert {item.path for item in workspace.unseen} == {"fifo", "data.bin"}


def test_what_cannot_be_looked_at_counts_as_unchanged() -> None:
    with tempfile.TemporaryDirectory() as place:
        source = make_repository(Path(place, "source"), START)
        with ordinary_user(Path(place)) as uid:
            workspace = Workspace.create(source, Path(place, "state"), uid=uid)
            (workspace.root / "data.bin").chmod(0)
            (workspace.root / "src").chmod(0)
            workspace.write("new.py", b"x")
            assert changed(workspace) == {"new.py": "added"}
            assert {item.path for item in workspace.unseen} == {"data.bin", "src"}
            (workspace.root / "src").chmod(0o755)
            workspace.remove("src/util.py")
            assert changed(workspace) == {"new.py": "added", "src/util.py": "deleted"}
            workspace.root.chmod(0)
            assert changed(workspace) == {"new.py": "added", "src/util.py": "deleted"}
            workspace.close()


def test_a_file_that_grows_too_large_counts_as_unchanged(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "source", {"a.txt": "small"})
    workspace = Workspace.create(source, tmp_path / "state", limits=Limits(file_mb=1))
    for name in ("a.txt", "sparse"):
        with open(workspace.root / name, "wb") as file:
            file.truncate(1 << 40)
    assert workspace.snapshot() == workspace.base
    assert {item.path for item in workspace.unseen} == {"a.txt", "sparse"}


def test_too_much_change_at_once_is_an_error(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "source", {"a.txt": "small"})
    workspace = Workspace.create(source, tmp_path / "state", limits=Limits(change_mb=1))
    for number in range(3):
        workspace.write(f"{number}", bytes(500_000))
    with pytest.raises(SandboxError, match="more than 1 MiB"):
        workspace.snapshot()
    workspace.remove("2")
    assert len(changed(workspace)) == 2


def test_names_may_be_anything(workspace: Workspace) -> None:
    names = [
        "new\nline",
        "\x1b[2J",
        "-rf",
        os.fsdecode(b"\xff"),
        '"quoted"',
        " ",
        ":(top)a",
        "*",
        "a\\b",
        "\ttab",
    ]
    for name in names:
        workspace.write(name, name.encode("utf-8", "surrogateescape"))
    tree = workspace.snapshot()
    assert set(workspace.tree_files(tree)) - set(START) == set(names)
    assert {change.path for change in workspace.changes(until=tree)} == set(names)


# Patches


def apply_with_git(source: Path, patch: bytes, place: Path) -> Path:
    """What `git apply` makes of a copy of `source`."""
    copy = place / "applied"
    shutil.copytree(source, copy, symlinks=True)
    command = ["git", "apply", "--whitespace=nowarn", "-"]
    done = subprocess.run(command, cwd=copy, input=patch, capture_output=True)
    assert done.returncode == 0, done.stderr
    return copy


def test_a_patch_makes_the_same_bytes_elsewhere(workspace: Workspace, tmp_path: Path) -> None:
    workspace.write("crlf.txt", b"one\r\nTWO\r\n")
    workspace.write("no-newline", b"END")
    workspace.write("data.bin", bytes(reversed(range(256))))
    workspace.write("empty", b"")
    workspace.write("src/with blank.py", b"x\n")
    workspace.remove("src/util.py")
    (workspace.root / "src/main.py").chmod(0o755)
    (workspace.root / "link").symlink_to("no/where")
    copy = apply_with_git(workspace.source, workspace.patch(), tmp_path)
    assert git_tree(copy) == workspace.snapshot()


def test_attributes_in_the_tree_change_nothing(tmp_path: Path) -> None:
    """Line ends, filters, binary marks and textconv: all would make the patch differ from the files."""
    attributes = "* text=auto eol=crlf\n*.py diff=evil filter=evil\n*.txt -diff\n*.id ident\n"
    source = make_repository(tmp_path / "source", {"a.py": "1\n", "b.txt": "1\r\n", "c.id": "$Id$\n"})
    write_files(source, {".gitattributes": attributes})
    workspace = Workspace.create(source, tmp_path / "state")
    for name in ("a.py", "b.txt", "c.id"):
        assert workspace.read(name) == (source / name).read_bytes()
        workspace.write(name, workspace.read(name) + b"2\r\n")
    patch = workspace.patch()
    assert patch.count(b"\n+2\r\n") == 3
    assert b"Binary" not in patch


def test_a_patch_has_a_limit(workspace: Workspace) -> None:
    workspace.write("large", b"line\n" * 10_000)
    with pytest.raises(SandboxError, match="more than 1000 bytes"):
        workspace.patch(limit=1000)


@pytest.mark.parametrize("lines", [1, 200_000])
def test_long_lines_and_long_files(workspace: Workspace, lines: int, tmp_path: Path) -> None:
    workspace.write("long", b"\n".join([b"x" * (2_000_000 // lines)] * lines))
    copy = apply_with_git(workspace.source, workspace.patch(), tmp_path)
    assert (copy / "long").read_bytes() == workspace.read("long")


contents = st.one_of(st.binary(max_size=40), st.text("ab\n\r", max_size=40).map(str.encode))
names = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "e", "a b", "é", '"', "new\nline"])
trees = st.dictionaries(names, st.tuples(contents, st.booleans()), max_size=5)


@settings(max_examples=12, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=trees, after=trees)
def test_any_two_trees(before: dict[str, tuple[bytes, bool]], after: dict[str, tuple[bytes, bool]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        source = make_repository(place / "source", {})
        fill(source, before)
        workspace = Workspace.create(source, place / "state")
        for name in before:
            workspace.remove(name)
        fill(workspace.root, after)
        tree = workspace.snapshot()
        assert tree == git_tree(workspace.root)
        if patch := workspace.patch():
            assert git_tree(apply_with_git(source, patch, place)) == tree
        workspace.restore(workspace.base)
        assert git_tree(workspace.root) == git_tree(source)


def fill(root: Path, files: dict[str, tuple[bytes, bool]]) -> None:
    write_files(root, {name: content for name, (content, _) in files.items()})
    for name, (_, executable) in files.items():
        (root / name).chmod(0o755 if executable else 0o644)
