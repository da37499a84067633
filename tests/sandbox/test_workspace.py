"""The private copy: what is in it, whom it belongs to, and how it ends."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import FileRefused, SandboxError
from sandbox.workspace import Limits, Workspace, sandbox_uid
from tests.sandbox.repositories import (
    START,
    Files,
    contents,
    git,
    inner_git,
    make_repository,
    on_small_disk,
    ordinary_user,
    picture,
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


# The copy


def test_holds_the_files_as_they_are_now(workspace: Workspace, source: Path) -> None:
    copied = contents(workspace.root)
    assert set(copied) == {
        "src/main.py",
        "run.sh",
        "data.bin",
        ".gitignore",
        "link",
        "dangling",
        "untracked.py",
    }
    assert all(copied[path] == content for path, content in contents(source).items() if path != "trace.log")
    assert os.access(workspace.root / "run.sh", os.X_OK)
    assert not os.access(workspace.root / "data.bin", os.X_OK)
    assert (workspace.root / "data.bin").stat().st_mtime_ns == (source / "data.bin").stat().st_mtime_ns


def test_the_users_tree_is_not_touched(source: Path, tmp_path: Path) -> None:
    before = picture(source)
    workspace = Workspace.create(source, tmp_path / "state")
    workspace.write("src/main.py", b"changed\n")
    workspace.patch()
    workspace.fresh(tmp_path / "other").close()
    workspace.restore(workspace.base)
    workspace.close()
    assert picture(source) == before


def test_nobody_else_may_look_into_it(workspace: Workspace) -> None:
    state = workspace.root.parent
    assert state.stat().st_mode & 0o066 == 0
    assert {stat.S_IMODE((state / name).stat().st_mode) for name in ("workspace", "shadow.git", "rules")} == {
        0o700
    }


def test_belongs_to_the_user_that_commands_run_as(workspace: Workspace) -> None:
    assert workspace.uid == sandbox_uid() != 0
    owners = {os.lstat(path).st_uid for path in (workspace.root, *workspace.root.rglob("*"))}
    assert owners == {workspace.uid}
    workspace.write("new/file", b"")
    assert {os.lstat(workspace.root / path).st_uid for path in ("new", "new/file")} == {workspace.uid}
    assert (workspace.root.parent / "shadow.git").stat().st_uid == os.geteuid()


def test_starts_from_a_directory_inside(source: Path, tmp_path: Path) -> None:
    workspace = Workspace.create(source / "src", tmp_path / "state")
    assert workspace.source == source
    assert workspace.exists("run.sh")


@pytest.mark.parametrize("files", [{}, {"a.py": "1\n"}])
def test_without_git_or_files(files: Files, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    write_files(tmp_path / "plain", files)
    workspace = Workspace.create(tmp_path / "plain", tmp_path / "state")
    assert set(workspace.tree_files(workspace.base)) == set(files)
    workspace.write("b.py", b"2\n")
    assert [change.path for change in workspace.changes()] == ["b.py"]
    workspace.fresh(tmp_path / "other").close()


def test_sha256(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q", "--object-format=sha256")
    write_files(source, {"a.py": "1\n", ".gitignore": "x\n"})
    workspace = Workspace.create(source, tmp_path / "state")
    workspace.write("a.py", b"2\n")
    workspace.write("x", b"")
    assert [len(change.new.id) for change in workspace.changes() if change.new] == [64]
    assert inner_git(workspace, "status", "--porcelain") == " M a.py\n"


def test_a_link_in_place_of_a_directory_is_not_walked_through(tmp_path: Path) -> None:
    """A tracked `sub/passwd` must not fetch /etc/passwd when `sub` is now a link to /etc."""
    source = make_repository(tmp_path / "source", {"sub/secret": "tracked", "a.py": ""})
    write_files(tmp_path, {"outside/secret": "the user's"})
    (source / "sub/secret").unlink()
    (source / "sub").rmdir()
    (source / "sub").symlink_to(tmp_path / "outside")
    workspace = Workspace.create(source, tmp_path / "state")
    assert workspace.kind("sub") == "symlink"
    assert set(workspace.tree_files(workspace.base)) == {"a.py", "sub"}


def test_a_link_to_another_directory_is_copied_as_a_link_only(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "source", {"sub/a.py": "old", "other/a.py": "new"})
    (source / "sub/a.py").unlink()
    (source / "sub").rmdir()
    (source / "sub").symlink_to("other")
    workspace = Workspace.create(source, tmp_path / "state")
    assert set(workspace.tree_files(workspace.base)) == {"other/a.py", "sub"}


def test_what_is_left_out_is_reported(source: Path, tmp_path: Path) -> None:
    with open(source / "large", "wb") as file:
        file.truncate(1 << 40)
    os.mkfifo(source / "fifo")
    workspace = Workspace.create(source, tmp_path / "state", limits=Limits(file_mb=1))
    assert "large" in {item.path for item in workspace.skipped}
    assert not workspace.exists("large")
    workspace.write("large", b"small")
    assert {change.path: change.kind for change in workspace.changes()} == {"large": "added"}


def test_unreadable_files_are_reported() -> None:
    with tempfile.TemporaryDirectory() as place:
        source = make_repository(Path(place, "source"), START)
        with ordinary_user(Path(place)) as uid:
            (source / "data.bin").chmod(0)
            workspace = Workspace.create(source, Path(place, "state"), uid=uid)
            assert [(item.path, item.reason) for item in workspace.skipped] == [("data.bin", "unreadable")]
            workspace.close()


@pytest.mark.parametrize(
    ("limits", "what"), [(Limits(files=3), "3 files"), (Limits(total_mb=1), "1 MiB")], ids=["files", "bytes"]
)
def test_too_much_to_copy(source: Path, tmp_path: Path, limits: Limits, what: str) -> None:
    write_files(source, {"one": bytes(600_000), "two": bytes(600_000)})
    with pytest.raises(SandboxError, match=what) as refused:
        Workspace.create(source, tmp_path / "state", limits=limits)
    assert ".gitignore" in refused.value.hint
    assert os.listdir(tmp_path / "state") == []


def test_the_state_stays_outside_the_repository(source: Path) -> None:
    with pytest.raises(SandboxError, match="inside"):
        Workspace.create(source, source / "state")
    assert not (source / "state").exists()


def test_a_state_is_used_once(workspace: Workspace, source: Path) -> None:
    with pytest.raises(SandboxError, match="already holds a workspace"):
        Workspace.create(source, workspace.root.parent)
    assert workspace.snapshot() == workspace.base


def test_copying_can_be_interrupted(source: Path, tmp_path: Path) -> None:
    write_files(source, {f"many/{number}": "x" for number in range(500)})
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Workspace.create(source, tmp_path / "state", progress=progress)
    assert seen == [(200, 508)]
    assert os.listdir(tmp_path / "state") == []


async def test_copying_leaves_the_event_loop_alone(source: Path, tmp_path: Path) -> None:
    write_files(source, {f"many/{number}": "x" for number in range(500)})
    making = asyncio.create_task(asyncio.to_thread(Workspace.create, source, tmp_path / "state"))
    turns = 0
    while not making.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert turns > 3
    (await making).close()


# Files


def test_reads_writes_removes_and_lists(workspace: Workspace) -> None:
    workspace.write("src/new.py", b"x = 1\n")
    assert workspace.read("src/new.py") == b"x = 1\n"
    assert [entry.path for entry in workspace.list("src")] == ["main.py", "new.py"]
    assert ".git" not in [entry.path for entry in workspace.list()]
    assert (workspace.kind("src"), workspace.kind("link"), workspace.kind("none")) == ("dir", "symlink", None)
    workspace.remove("src/new.py")
    assert not workspace.exists("src/new.py")
    assert workspace.exists("dangling")


def test_nothing_is_read_or_written_through_a_way_out(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (workspace.root / "out").symlink_to(tmp_path)
    for path in ("out/secret", "../../secret", "/etc/passwd", "dangling"):
        with pytest.raises(FileRefused):
            workspace.read(path)
        with pytest.raises(FileRefused):
            workspace.write(path, b"")
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.parametrize("path", [".git/config", "src/.GIT/hooks/x", ".git"])
def test_git_directories_are_not_for_tools(workspace: Workspace, path: str) -> None:
    with pytest.raises(FileRefused, match="git's own"):
        workspace.write(path, b"")
    with pytest.raises(FileRefused, match="git's own"):
        workspace.remove(path)


# The end


def test_closing_removes_everything_but_what_is_kept(source: Path, tmp_path: Path) -> None:
    workspace = Workspace.create(source, tmp_path / "state")
    other = workspace.fresh(tmp_path / "other")
    other.close()
    workspace.close(keep_shadow=True)
    assert workspace.shadow.patch(workspace.base, workspace.base) == b""
    assert sorted(os.listdir(tmp_path / "state")) == ["rules", "shadow.git"]
    workspace.close()
    workspace.close()
    assert os.listdir(tmp_path / "state") == []


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    write_files(source, {"large": bytes(3 << 20)})
    script = f"""
import os, pathlib, sys
from sandbox.errors import SandboxError
from sandbox.workspace import Workspace
try:
    Workspace.create(pathlib.Path({str(source)!r}), pathlib.Path("/mnt/state"), uid=os.getuid())
except SandboxError as error:
    print(error, "|", error.hint, "|", os.listdir("/mnt/state"))
"""
    said = on_small_disk("2m", script)
    assert "No space left on device" in said
    assert said.endswith("| []")
