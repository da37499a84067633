"""Finding the user's repository and naming its files, whatever state it is in."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.hostgit import git_program
from sandbox.repository import Repository, find_repository, head_commit, list_files
from tests.sandbox.repositories import git, make_repository, ordinary_user, picture, write_files


def files(start: Path) -> list[str]:
    return list(list_files(find_repository(start)).files)


# Finding


def test_is_found_from_a_directory_inside(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project", {"src/deep/a.py": ""})
    assert find_repository(root / "src/deep") == find_repository(root)
    assert find_repository(root).root == root


def test_a_plain_directory_is_its_own_root(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.py": "", "sub/b.py": ""})
    assert find_repository(tmp_path / "sub") == Repository(tmp_path / "sub")
    assert files(tmp_path) == ["a.py", "sub/b.py"]
    assert head_commit(find_repository(tmp_path)) is None


def test_a_linked_worktree_has_its_own_files_and_head(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project", {"a.py": ""})
    git(root, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    write_files(tmp_path / "linked", {"b.py": "", "c.py": ""})
    git(tmp_path / "linked", "add", "b.py")
    git(tmp_path / "linked", "commit", "-q", "-m", "b")
    assert files(tmp_path / "linked") == ["a.py", "b.py", "c.py"]
    assert head_commit(find_repository(tmp_path / "linked")) == git(root, "rev-parse", "other").strip()
    assert head_commit(find_repository(root)) == git(root, "rev-parse", "main").strip()


def test_a_bare_repository_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    with pytest.raises(SandboxError, match="bare repository") as refused:
        find_repository(tmp_path / "bare.git")
    assert "clone" in refused.value.hint


def test_inside_a_git_directory_is_refused(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project", {"a.py": ""})
    with pytest.raises(SandboxError, match="inside a git directory"):
        find_repository(root / ".git/objects")


@pytest.mark.parametrize("content", ["", "nonsense", "gitdir:", "gitdir: /nowhere"])
def test_a_broken_git_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / ".git").write_text(content)
    with pytest.raises(SandboxError, match=r"\.git"):
        find_repository(tmp_path)


@pytest.mark.parametrize("start", ["/", "~"])
def test_home_and_root_are_not_projects(start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SandboxError, match="not a project"):
        find_repository(Path(start).expanduser())


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="not a directory"):
        find_repository(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of another user")
def test_a_repository_that_another_user_put_above_is_refused(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "shared", {"mine/a.py": ""})
    os.chown(root, 12345, 12345)
    with pytest.raises(SandboxError, match=r"another user \(uid 12345\)") as refused:
        find_repository(root / "mine")
    assert str(root) in refused.value.hint


def test_root_may_work_in_the_repository_of_another_user() -> None:
    """Containers start as root over a checkout of somebody else: git alone refuses (safe.directory)."""
    with tempfile.TemporaryDirectory() as place:
        root = make_repository(Path(place, "project"), {"src/a.py": ""})
        with ordinary_user(Path(place)):
            pass
        assert files(root / "src") == ["src/a.py"]
        assert head_commit(find_repository(root))


def test_without_git_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "project", {"a.py": ""})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="git was not found") as refused:
        list_files(find_repository(root))
    assert "install git" in refused.value.hint


def test_a_git_that_the_repository_brings_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("#!/bin/sh\n")
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"bin:.:{tmp_path}/bin")
    with pytest.raises(SandboxError, match="git was not found"):
        git_program()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/local/bin:/usr/bin:/bin")
    assert not git_program().startswith(str(tmp_path))


# What is copied


def test_tracked_and_untracked_files_but_not_ignored_ones(tmp_path: Path) -> None:
    root = make_repository(
        tmp_path / "project", {"a.py": "", ".gitignore": "*.log\nbuild/\n", "forced.log": ""}
    )
    git(root, "add", "-f", "forced.log")
    write_files(
        root, {"new.py": "", "new.log": "", "build/out": "", "sub/.gitignore": "local\n", "sub/local": ""}
    )
    assert files(root) == [".gitignore", "a.py", "forced.log", "new.py", "sub/.gitignore"]


def test_the_repositorys_own_and_the_users_excludes_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(tmp_path / "project", {"a.py": ""})
    write_files(root, {".git/info/exclude": "notes\n", "notes": "", "scratch": "", "kept": ""})
    write_files(
        tmp_path, {"home/.gitconfig": "[core]\n\texcludesFile = ~/.ignored\n", "home/.ignored": "scratch\n"}
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert files(root) == ["a.py", "kept"]


def test_the_usual_place_of_the_users_excludes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "project", {"a.py": "", "scratch": ""})
    git(root, "rm", "-q", "--cached", "scratch")
    write_files(tmp_path, {"config/git/ignore": "scratch\n"})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert files(root) == ["a.py"]


def test_without_commits(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write_files(tmp_path, {"staged.py": "", "new.py": ""})
    git(tmp_path, "add", "staged.py")
    assert files(tmp_path) == ["new.py", "staged.py"]
    assert head_commit(find_repository(tmp_path)) is None


def test_an_index_with_conflicts_names_each_file_once(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project", {"a.py": "base\n"})
    git(root, "checkout", "-q", "-b", "other")
    write_files(root, {"a.py": "other\n"})
    git(root, "commit", "-qam", "other")
    git(root, "checkout", "-q", "main")
    write_files(root, {"a.py": "main\n"})
    git(root, "commit", "-qam", "main")
    with pytest.raises(AssertionError):
        git(root, "merge", "-q", "other")
    assert git(root, "ls-files", "-u").count("a.py") == 3
    assert files(root) == ["a.py"]


def test_a_split_index(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project", {"a.py": "", "b.py": ""})
    git(root, "update-index", "--split-index")
    write_files(root, {"c.py": ""})
    git(root, "add", "c.py")
    before = picture(root)
    assert files(root) == ["a.py", "b.py", "c.py"]
    assert picture(root) == before


def test_a_sparse_checkout_with_a_sparse_index(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project", {"a/a.py": "", "b/b.py": "", "top.py": ""})
    git(root, "sparse-checkout", "init", "--cone", "--sparse-index")
    git(root, "sparse-checkout", "set", "a")
    assert not (root / "b").exists()
    assert files(root) == ["a/a.py", "b/b.py", "top.py"]


def test_an_untracked_cache_in_the_index_is_not_believed(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project", {"a.py": ""})
    git(root, "update-index", "--force-untracked-cache")
    git(root, "-c", "core.untrackedCache=true", "status")
    write_files(root, {"sub/new.py": ""})
    assert files(root) == ["a.py", "sub/new.py"]


def test_sha256_repositories(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256")
    write_files(tmp_path, {"a.py": "", "b.py": ""})
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-q", "-m", "start")
    assert find_repository(tmp_path).object_format == "sha256"
    assert files(tmp_path) == ["a.py", "b.py"]
    assert head_commit(find_repository(tmp_path)) == git(tmp_path, "rev-parse", "HEAD").strip()


def test_names_may_be_anything(tmp_path: Path) -> None:
    names = ["new\nline", "\x1b[2J", "-rf", "ü", os.fsdecode(b"\xff"), '"quoted"', " ", ":(top)a", "*"]
    root = make_repository(tmp_path / "project", dict.fromkeys(names[:4], ""))
    write_files(root, dict.fromkeys(names[4:], ""))
    assert files(root) == sorted(names)


def test_submodules_are_listed_as_plain_files(tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner", {"lib.py": "", ".gitignore": "*.o\n"})
    root = make_repository(tmp_path / "project", {"a.py": ""})
    git(root, "submodule", "add", "-q", str(inner), "vendor/inner")
    write_files(root / "vendor/inner", {"new.py": "", "x.o": ""})
    listing = list_files(find_repository(root))
    assert set(listing.files) >= {"a.py", "vendor/inner/lib.py", "vendor/inner/new.py"}
    assert "vendor/inner/x.o" not in listing.files
    assert listing.submodules == ("vendor/inner",)


def test_a_submodule_that_is_not_checked_out_is_reported(tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner", {"lib.py": ""})
    root = make_repository(tmp_path / "project", {"a.py": ""})
    git(root, "submodule", "add", "-q", str(inner), "vendor")
    git(root, "submodule", "deinit", "-q", "-f", "vendor")
    listing = list_files(find_repository(root))
    assert [(item.path, "not checked out" in item.reason) for item in listing.skipped] == [("vendor", True)]


def test_nested_repositories_are_listed_as_plain_files(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project", {"a.py": ""})
    make_repository(root / "nested", {"b.py": ""})
    make_repository(root / "nested/deeper", {"c.py": ""})
    git(root, "init", "-q", "empty")
    listing = list_files(find_repository(root))
    assert listing.files == ("a.py", "nested/b.py", "nested/deeper/c.py")
    assert set(listing.submodules) >= {"nested", "nested/deeper"}


def test_repositories_nested_without_end_are_cut_off(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project", {"a.py": ""})
    here = root
    for _ in range(8):
        here = make_repository(here / "n", {"a.py": ""})
    listing = list_files(find_repository(root))
    assert max(name.count("/") for name in listing.files) == 5
    assert [item.reason for item in listing.skipped] == ["repositories nested too deep"]


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("detached", [False, True])
def test_the_checked_out_commit(tmp_path: Path, *, pack: bool, detached: bool) -> None:
    root = make_repository(tmp_path / "project", {"a.py": ""})
    if pack:
        git(root, "pack-refs", "--all")
    if detached:
        git(root, "checkout", "-q", "--detach")
    assert head_commit(find_repository(root)) == git(root, "rev-parse", "HEAD").strip()


@pytest.mark.parametrize(
    "head", ["ref: refs/heads/../../../outside", "ref: /etc/passwd", "ref: HEAD", "junk", ""]
)
def test_a_head_that_leads_astray_is_no_commit(tmp_path: Path, head: str) -> None:
    root = make_repository(tmp_path / "project", {"a.py": ""})
    write_files(tmp_path, {"outside": "0" * 40})
    (root / ".git/HEAD").write_text(head)
    assert head_commit(find_repository(root)) is None
