"""The user's tree gets the whole patch or nothing, and their own work stays."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from sandbox.applying import apply_changes
from sandbox.errors import PatchRefused, SandboxError
from sandbox.hostfiles import TEMPORARY_PREFIX
from sandbox.shadow import Shadow
from sandbox.workspace import Workspace
from tests.sandbox.repositories import (
    Files,
    git,
    make_repository,
    on_small_disk,
    ordinary_user,
    picture,
    write_files,
)

START: Files = {
    "src/main.py": "print('hello')\n",
    "src/util.py": "def util(): ...\n",
    "only/child.py": "alone\n",
    "data.bin": bytes(range(256)),
    "crlf.txt": "one\r\ntwo\r\n",
    ".gitignore": "*.log\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    source = make_repository(tmp_path / "source", START)
    write_files(source, {"src/util.py": "uncommitted\n", "untracked.py": "mine\n", "trace.log": "ignored\n"})
    git(source, "add", "src/util.py")
    workspace = Workspace.create(source, tmp_path / "state")
    yield workspace
    workspace.close()


def edit_everything(workspace: Workspace) -> None:
    """One change of every kind."""
    workspace.write("src/main.py", b"print('fixed')\r\n")
    workspace.write("new/deep/file.py", b"new\n")
    workspace.write("data.bin", bytes(reversed(range(256))))
    workspace.remove("only/child.py")
    (workspace.root / "crlf.txt").chmod(0o755)
    (workspace.root / "link").symlink_to("src/main.py")
    workspace.remove("untracked.py")
    workspace.write("untracked.py/now-a-directory", b"x")
    workspace.write("zz.py", b"last")


def files(root: Path) -> dict[str, tuple[object, ...]]:
    return {
        path: (found[0], found[-1]) for path, found in picture(root).items() if not path.startswith(".git/")
    }


def test_every_kind_of_change_arrives(workspace: Workspace) -> None:
    edit_everything(workspace)
    source = workspace.source
    before = picture(source)
    written = workspace.apply_to_source()
    assert sorted(written) == sorted(change.path for change in workspace.changes())
    after = picture(source)
    assert {path: after[path] for path in after if path.startswith(".git/")} == {
        path: before[path] for path in before if path.startswith(".git/")
    }
    assert after["src/util.py"] == before["src/util.py"]
    assert after["trace.log"] == before["trace.log"]
    assert (source / "src/main.py").read_bytes() == b"print('fixed')\r\n"
    assert (source / "data.bin").read_bytes() == bytes(reversed(range(256)))
    assert os.readlink(source / "link") == "src/main.py"
    assert os.access(source / "crlf.txt", os.X_OK)
    assert (source / "untracked.py/now-a-directory").read_bytes() == b"x"
    assert not (source / "only").exists()
    assert not [name for name in os.listdir(source) if name.startswith(TEMPORARY_PREFIX)]


def test_the_source_is_then_what_the_workspace_is(workspace: Workspace, tmp_path: Path) -> None:
    edit_everything(workspace)
    workspace.apply_to_source()
    again = Workspace.create(workspace.source, tmp_path / "again")
    assert again.base == workspace.snapshot()
    again.close()


def test_what_the_user_staged_stays_staged(workspace: Workspace) -> None:
    workspace.write("src/main.py", b"fixed\n")
    workspace.apply_to_source()
    status = git(workspace.source, "status", "--porcelain")
    assert status == " M src/main.py\nM  src/util.py\n?? untracked.py\n"


def test_applying_twice_is_harmless(workspace: Workspace) -> None:
    edit_everything(workspace)
    workspace.apply_to_source()
    before = picture(workspace.source)
    assert workspace.apply_to_source() == ()
    assert picture(workspace.source) == before


def test_a_part_of_the_history(workspace: Workspace) -> None:
    workspace.write("src/main.py", b"first\n")
    first = workspace.snapshot()
    workspace.write("src/main.py", b"second\n")
    workspace.apply_to_source(until=first)
    assert (workspace.source / "src/main.py").read_text() == "first\n"
    workspace.apply_to_source(since=first)
    assert (workspace.source / "src/main.py").read_text() == "second\n"


def test_back_again(workspace: Workspace) -> None:
    before = files(workspace.source)
    edit_everything(workspace)
    after = workspace.snapshot()
    workspace.apply_to_source(until=after)
    workspace.apply_to_source(since=after, until=workspace.base)
    assert files(workspace.source) == before


def test_permissions_of_the_user_are_kept(workspace: Workspace) -> None:
    path = workspace.source / "src/main.py"
    path.chmod(0o600)
    (workspace.source / "crlf.txt").chmod(0o640)
    workspace.write("src/main.py", b"fixed\n")
    (workspace.root / "crlf.txt").chmod(0o755)
    before = os.umask(0o027)
    try:
        workspace.write("new.py", b"")
        workspace.apply_to_source()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((workspace.source / "crlf.txt").stat().st_mode) == 0o750
    assert stat.S_IMODE((workspace.source / "new.py").stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for others")
def test_root_leaves_files_to_their_owner(workspace: Workspace) -> None:
    for path in (workspace.source, *workspace.source.rglob("*")):
        os.chown(path, 1234, 4321, follow_symlinks=False)
    edit_everything(workspace)
    workspace.apply_to_source()
    assert {(os.lstat(path).st_uid, os.lstat(path).st_gid) for path in workspace.source.rglob("*")} == {
        (1234, 4321)
    }


# What moved underneath


def change_it(root: Path) -> None:
    (root / "src/main.py").write_text("the user's\n")


def remove_it(root: Path) -> None:
    (root / "src/main.py").unlink()


def make_it_executable(root: Path) -> None:
    (root / "src/main.py").chmod(0o755)


def make_it_a_link(root: Path) -> None:
    (root / "src/main.py").unlink()
    (root / "src/main.py").symlink_to("util.py")


def make_it_a_directory(root: Path) -> None:
    (root / "src/main.py").unlink()
    (root / "src/main.py").mkdir()


def make_its_directory_a_link(root: Path) -> None:
    (root / "src").rename(root / "elsewhere")
    (root / "src").symlink_to("elsewhere")


@pytest.mark.parametrize(
    "meanwhile",
    [
        change_it,
        remove_it,
        make_it_executable,
        make_it_a_link,
        make_it_a_directory,
        make_its_directory_a_link,
    ],
)
def test_a_file_that_the_user_changed_meanwhile_stops_everything(
    workspace: Workspace, meanwhile: Callable[[Path], None]
) -> None:
    edit_everything(workspace)
    meanwhile(workspace.source)
    before = picture(workspace.source)
    with pytest.raises(PatchRefused) as refused:
        workspace.apply_to_source()
    assert [reason.split()[0].rstrip(":") for reason in refused.value.reasons] == ["src/main.py"]
    assert picture(workspace.source) == before


def test_every_file_that_moved_is_named(workspace: Workspace) -> None:
    edit_everything(workspace)
    write_files(workspace.source, {"new/deep/file.py": "the user's", "data.bin": "the user's"})
    (workspace.source / "only/child.py").unlink()
    with pytest.raises(PatchRefused) as refused:
        workspace.apply_to_source()
    assert refused.value.reasons == [
        "data.bin was changed in your tree meanwhile",
        "new/deep/file.py exists in your tree by now",
    ]


def test_a_directory_that_is_in_the_way(workspace: Workspace) -> None:
    (workspace.source / "new.py").mkdir()
    write_files(workspace.source, {"new.py/kept": ""})
    workspace.write("new.py", b"")
    with pytest.raises(PatchRefused, match=r"new\.py exists"):
        workspace.apply_to_source()
    assert (workspace.source / "new.py/kept").exists()


class Interfering(Shadow):
    """A shadow whose blobs are fetched while the user saves a file: after the check, before the change."""

    def __init__(self, shadow: Shadow, meanwhile: Callable[[], object]) -> None:
        super().__init__(shadow.git_dir, shadow.rules, shadow.object_format)
        self._meanwhile = meanwhile

    def blobs(self, ids: Iterable[str]) -> Iterator[bytes]:
        self._meanwhile()
        return super().blobs(ids)


@pytest.mark.parametrize("path", ["src/main.py", "new/deep/file.py", "only/child.py", "link", "zz.py"])
def test_a_file_saved_in_the_very_moment_is_not_lost(workspace: Workspace, path: str) -> None:
    edit_everything(workspace)
    source = workspace.source
    before = files(source)
    shadow = Interfering(workspace.shadow, lambda: write_files(source, {path: "saved just now\n"}))
    with pytest.raises(PatchRefused, match=path):
        apply_changes(source, workspace.changes(), shadow)
    after = files(source)
    assert (source / path).read_text() == "saved just now\n"
    kept = {name: found for name, found in after.items() if name in before and name != path}
    assert kept == {name: found for name, found in before.items() if name != path}
    saved = {"new", "new/deep", path} if path.startswith("new") else {path}
    assert set(after) - set(before) == saved - set(before)


# Failures on the way


def test_a_refused_patch_is_not_begun(workspace: Workspace) -> None:
    workspace.write("src/main.py", b"fixed\n")
    (workspace.root / "evil").symlink_to("/etc/shadow")
    before = picture(workspace.source)
    with pytest.raises(PatchRefused, match="evil: a symbolic link that leads out of the tree"):
        workspace.apply_to_source()
    assert picture(workspace.source) == before


def test_a_directory_that_may_not_be_written_puts_everything_back() -> None:
    with tempfile.TemporaryDirectory() as place:
        source = make_repository(Path(place, "source"), START)
        with ordinary_user(Path(place)) as uid:
            workspace = Workspace.create(source, Path(place, "state"), uid=uid)
            workspace.write("data.bin", b"fixed")
            workspace.write("src/main.py", b"fixed")
            (source / "src").chmod(0o555)
            before = files(source)
            with pytest.raises(SandboxError, match="as it was before"):
                workspace.apply_to_source()
            assert files(source) == before
            (source / "src").chmod(0o755)
            workspace.apply_to_source()
            assert (source / "src/main.py").read_text() == "fixed"
            workspace.close()


def test_a_full_disk_puts_everything_back(tmp_path: Path) -> None:
    """The patch's last file does not fit on the user's disk."""
    script = f"""
import os, pathlib, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from sandbox.errors import SandboxError
from sandbox.workspace import Workspace
from tests.sandbox.repositories import make_repository, picture
source = make_repository(pathlib.Path("/mnt/source"), {{"a/old.py": "old", "b/gone.py": "gone", "z": "z"}})
workspace = Workspace.create(source, pathlib.Path({str(tmp_path)!r}) / "state", uid=os.getuid())
workspace.write("a/old.py", b"new")
workspace.remove("b/gone.py")
workspace.write("c/added.py", b"added")
workspace.write("z", os.urandom(1 << 20))
before = picture(source)
space = os.statvfs("/mnt").f_bfree
try:
    workspace.apply_to_source()
except SandboxError as error:
    print(error, "|", error.hint)
print(picture(source) == before, os.statvfs("/mnt").f_bfree == space)
"""
    said = on_small_disk("800k", script)
    assert "No space left on device; everything is as it was before" in said
    assert "free some space" in said
    assert said.endswith("True True")
