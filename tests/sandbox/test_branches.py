"""A branch in the user's repository: one commit, and nothing else is touched."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from sandbox.errors import PatchRefused, SandboxError
from sandbox.workspace import Workspace
from tests.sandbox.repositories import Files, git, make_repository, picture, write_files

START: Files = {
    "src/main.py": "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n",
    "src/util.py": "def util(): ...\n",
    "data.bin": bytes(range(256)),
    "run.sh": "#!/bin/sh\n",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "source", START)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def without_objects(root: Path) -> dict[str, tuple[object, ...]]:
    """The user's tree and `.git`, but for new objects and the new branch."""
    new = (".git/objects/", ".git/refs/heads/coder", ".git/logs/refs/heads/coder")
    return {path: found for path, found in picture(root).items() if not path.startswith(new)}


def test_a_commit_of_the_changes_on_top_of_head(source: Path, state: Path) -> None:
    workspace = Workspace.create(source, state)
    workspace.write("src/main.py", b"fixed\n")
    workspace.write("new/file.py", b"new\n")
    workspace.remove("src/util.py")
    (workspace.root / "run.sh").chmod(0o755)
    (workspace.root / "link").symlink_to("run.sh")
    before = without_objects(source)
    commit = workspace.write_branch("coder/fix", message="Fix it\n\nWith a reason.")
    assert without_objects(source) == before
    assert git(source, "rev-parse", "coder/fix", "coder/fix^").split() == [
        commit,
        git(source, "rev-parse", "HEAD").strip(),
    ]
    assert git(source, "log", "-1", "--format=%B", commit).strip() == "Fix it\n\nWith a reason."
    listing = git(source, "diff", "--raw", "--no-renames", "--abbrev=1", "HEAD", commit)
    changes = {line.split("\t")[1]: (line.split()[1], line.split()[4]) for line in listing.splitlines()}
    assert changes == {
        "src/main.py": ("100644", "M"),
        "new/file.py": ("100644", "A"),
        "src/util.py": ("000000", "D"),
        "run.sh": ("100755", "M"),
        "link": ("120000", "A"),
    }
    assert git(source, "show", f"{commit}:src/main.py") == "fixed\n"
    assert git(source, "fsck", "--strict", "--no-dangling") == ""


def test_uncommitted_work_stays_out(source: Path, state: Path) -> None:
    write_files(source, {"src/util.py": "mine\n", "untracked.py": "mine\n", "data.bin": "staged"})
    git(source, "add", "data.bin")
    workspace = Workspace.create(source, state)
    workspace.write("src/main.py", b"fixed\n")
    commit = workspace.write_branch("coder/fix", message="Fix")
    assert git(source, "diff", "--name-only", "HEAD", commit) == "src/main.py\n"


def test_a_change_next_to_uncommitted_edits_is_merged_without_them(source: Path, state: Path) -> None:
    lines = str(START["src/main.py"]).splitlines(keepends=True)
    write_files(source, {"src/main.py": "".join(["mine\n", *lines[1:]])})
    workspace = Workspace.create(source, state)
    workspace.write("src/main.py", "".join(["mine\n", *lines[1:-1], "fixed\n"]).encode())
    commit = workspace.write_branch("coder/fix", message="Fix")
    assert git(source, "show", f"{commit}:src/main.py") == "".join([*lines[:-1], "fixed\n"])


@pytest.mark.parametrize(
    ("path", "mine", "fixed"), [("src/main.py", b"mine\n", b"fixed\n"), ("data.bin", b"\0mine", b"\0fixed")]
)
def test_a_change_on_top_of_uncommitted_edits_is_refused(
    source: Path, state: Path, path: str, mine: bytes, fixed: bytes
) -> None:
    write_files(source, {path: mine})
    workspace = Workspace.create(source, state)
    workspace.write(path, fixed)
    with pytest.raises(PatchRefused, match=f"{path}: your uncommitted edits overlap"):
        workspace.write_branch("coder/fix", message="Fix")
    assert "coder" not in git(source, "branch", "--list")


def test_a_changed_untracked_file_goes_in_whole(source: Path, state: Path) -> None:
    write_files(source, {"untracked.py": "mine\n"})
    workspace = Workspace.create(source, state)
    workspace.write("untracked.py", b"mine\nfixed\n")
    commit = workspace.write_branch("coder/fix", message="Fix")
    assert git(source, "show", f"{commit}:untracked.py") == "mine\nfixed\n"


def test_line_ends_are_committed_as_the_attributes_say(tmp_path: Path) -> None:
    """The user has CRLF in the tree and LF in the commit: the commit must not change every line."""
    source = make_repository(
        tmp_path / "source", {".gitattributes": "*.bat text eol=crlf\n", "a.bat": "one\r\ntwo\r\n"}
    )
    assert git(source, "show", "HEAD:a.bat") == "one\ntwo\n"
    workspace = Workspace.create(source, tmp_path / "state")
    workspace.write("a.bat", b"one\r\nfixed\r\n")
    workspace.write("new.bat", b"new\r\n")
    commit = workspace.write_branch("coder/fix", message="Fix")
    assert git(source, "show", f"{commit}:a.bat") == "one\nfixed\n"
    assert git(source, "show", f"{commit}:new.bat") == "new\n"


def test_a_file_kept_outside_git_is_refused(source: Path, state: Path) -> None:
    """Large file storage commits a pointer in place of the content; only its filter could write the new one."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
    write_files(source, {"big.dat": pointer, ".gitattributes": "*.dat filter=lfs\n"})
    git(source, "add", "-A")
    git(source, "commit", "-qm", "big")
    write_files(source, {"big.dat": b"the\0content"})
    workspace = Workspace.create(source, state)
    workspace.write("big.dat", b"new\0content")
    with pytest.raises(PatchRefused, match=r"big\.dat"):
        workspace.write_branch("coder/fix", message="Fix")


def test_without_commits_it_is_a_root_commit(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q")
    write_files(source, {"mine.py": ""})
    workspace = Workspace.create(source, tmp_path / "state")
    workspace.write("a.py", b"1\n")
    commit = workspace.write_branch("coder/fix", message="Fix")
    assert git(source, "ls-tree", "-r", "--name-only", commit) == "a.py\n"
    assert git(source, "log", "--format=%P", commit).strip() == ""


def test_sha256(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q", "--object-format=sha256")
    write_files(source, START)
    git(source, "add", "-A")
    git(source, "commit", "-qm", "start")
    workspace = Workspace.create(source, tmp_path / "state")
    workspace.write("src/main.py", b"fixed\n")
    commit = workspace.write_branch("coder/fix", message="Fix")
    assert git(source, "diff", "--name-only", "HEAD", commit) == "src/main.py\n"


def test_a_linked_worktree_and_packed_refs(source: Path, state: Path, tmp_path: Path) -> None:
    git(source, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    git(source, "pack-refs", "--all")
    git(source, "gc", "-q")
    workspace = Workspace.create(tmp_path / "linked", state)
    workspace.write("src/main.py", b"fixed\n")
    commit = workspace.write_branch("coder/fix", message="Fix")
    assert (
        git(source, "rev-parse", "coder/fix^", "other").split()[0]
        == git(source, "rev-parse", "other").strip()
    )
    assert commit in git(source, "rev-parse", "coder/fix")
    with pytest.raises(SandboxError, match="already"):
        workspace.write_branch("other", message="Fix")


def test_a_shallow_clone(source: Path, state: Path, tmp_path: Path) -> None:
    git(source, "commit", "-q", "--allow-empty", "-m", "second")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{source}", "shallow")
    workspace = Workspace.create(tmp_path / "shallow", state)
    workspace.write("src/main.py", b"fixed\n")
    workspace.write_branch("coder/fix", message="Fix")
    assert git(tmp_path / "shallow", "diff", "--name-only", "HEAD", "coder/fix") == "src/main.py\n"


def test_the_author_is_the_user(
    source: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"home/.gitconfig": "[user]\n\tname = Ada\n\temail = ada@example.org\n"})
    workspace = Workspace.create(source, state)
    for home, author in ((tmp_path / "home", "Ada <ada@example.org>"), (tmp_path, "coder <coder@localhost>")):
        monkeypatch.setenv("HOME", str(home))
        workspace.write("src/main.py", str(home).encode())
        commit = workspace.write_branch(f"coder/{home.name}", message="Fix")
        assert (
            git(source, "log", "-1", "--format=%an <%ae>|%cn <%ce>", commit).strip() == f"{author}|{author}"
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for others")
def test_root_leaves_a_repository_that_its_owner_can_use() -> None:
    with tempfile.TemporaryDirectory() as place:
        source = make_repository(Path(place, "source"), START)
        for path in (Path(place), *Path(place).rglob("*")):
            os.chown(path, 1000, 2000)
        workspace = Workspace.create(source, Path(place, "state"))
        workspace.write("src/main.py", b"fixed\n")
        workspace.write_branch("coder/fix", message="Fix")
        assert {(os.lstat(path).st_uid, os.lstat(path).st_gid) for path in source.rglob("*")} == {
            (1000, 2000)
        }
        subprocess.run(["git", "checkout", "-q", "coder/fix"], cwd=source, user=1000, check=True)
        workspace.close()


# What cannot be


@pytest.mark.parametrize("name", ["main", "taken/name"])
def test_a_name_that_is_taken(source: Path, state: Path, name: str) -> None:
    git(source, "branch", "taken/name")
    workspace = Workspace.create(source, state)
    workspace.write("src/main.py", b"fixed\n")
    before = picture(source)
    with pytest.raises(SandboxError, match="already") as refused:
        workspace.write_branch(name, message="Fix")
    assert "--branch" in refused.value.hint
    assert picture(source) == before


def test_a_name_that_clashes_with_a_directory_of_branches(source: Path, state: Path) -> None:
    git(source, "branch", "taken/name")
    workspace = Workspace.create(source, state)
    workspace.write("src/main.py", b"fixed\n")
    with pytest.raises(SandboxError, match="cannot be made"):
        workspace.write_branch("taken", message="Fix")


@pytest.mark.parametrize(
    "name", ["", "-d", "a..b", "a b", "a\nb", "../x", "HEAD", "a.lock", "x/", "a\0b", "\x1b[2J", "@{-1}"]
)
def test_names_that_are_none(source: Path, state: Path, name: str) -> None:
    workspace = Workspace.create(source, state)
    workspace.write("src/main.py", b"fixed\n")
    with pytest.raises(SandboxError, match="not a name for a branch"):
        workspace.write_branch(name, message="Fix")


def test_nothing_to_commit(source: Path, state: Path) -> None:
    with pytest.raises(SandboxError, match="nothing differs"):
        Workspace.create(source, state).write_branch("coder/fix", message="Fix")


def test_no_repository(tmp_path: Path) -> None:
    write_files(tmp_path, {"plain/a.py": ""})
    workspace = Workspace.create(tmp_path / "plain", tmp_path / "state")
    workspace.write("a.py", b"1\n")
    with pytest.raises(SandboxError, match="not a git repository"):
        workspace.write_branch("coder/fix", message="Fix")


def test_changes_inside_a_submodule(source: Path, state: Path, tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner", {"lib.py": ""})
    git(source, "submodule", "add", "-q", str(inner), "vendor")
    git(source, "commit", "-qm", "vendor")
    workspace = Workspace.create(source, state)
    workspace.write("src/main.py", b"fixed\n")
    workspace.write("vendor/lib.py", b"fixed\n")
    with pytest.raises(PatchRefused, match=r"vendor/lib\.py: inside a submodule"):
        workspace.write_branch("coder/fix", message="Fix")
    workspace.restore(workspace.base, ["vendor"])
    commit = workspace.write_branch("coder/fix", message="Fix")
    assert "160000 commit" in git(source, "ls-tree", commit, "vendor")


def test_a_refused_patch_makes_no_branch(source: Path, state: Path) -> None:
    workspace = Workspace.create(source, state)
    (workspace.root / "evil").symlink_to("/etc/shadow")
    with pytest.raises(PatchRefused, match="evil"):
        workspace.write_branch("coder/fix", message="Fix")


def test_a_message_is_text(source: Path, state: Path) -> None:
    workspace = Workspace.create(source, state)
    workspace.write("src/main.py", b"fixed\n")
    workspace.write_branch("coder/fix", message="\x1b[2JFix \ud800\0\u202e")
    assert git(source, "log", "-1", "--format=%s", "coder/fix").strip() == "␛[2JFix \\ud800␀\\u202e"
