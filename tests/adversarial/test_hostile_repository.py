"""A repository made by strangers, and a workspace that hostile commands wrote to: no program of theirs runs on the host.

Canaries are planted wherever git is known to run something. The first test proves that they sing for plain git.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.patches import check
from sandbox.populate import Placed, write_index
from sandbox.repository import find_repository, head_commit, list_files
from sandbox.shadow import TreeFile
from sandbox.workspace import Workspace
from tests.sandbox.repositories import git, make_repository, picture, write_files

HOOKS = """
applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg commit-msg
post-commit pre-rebase post-checkout post-merge pre-push pre-receive update proc-receive post-receive
post-update reference-transaction push-to-checkout pre-auto-gc post-rewrite sendemail-validate
fsmonitor-watchman post-index-change p4-pre-submit
"""

CONFIG = """
[core]
\tfsmonitor = {cage}/fsmonitor
\thooksPath = {cage}/hooks
\tsshCommand = {cage}/ssh
\teditor = {cage}/editor
\tpager = {cage}/pager
\taskPass = {cage}/askpass
\tgitProxy = {cage}/proxy
\talternateRefsCommand = {cage}/alternate-refs
\tattributesFile = {cage}/attributes
\tuntrackedCache = true
[diff]
\texternal = {cage}/diff-external
[diff "evil"]
\tcommand = {cage}/diff-command
\ttextconv = {cage}/textconv
[filter "evil"]
\tclean = {cage}/clean
\tsmudge = {cage}/smudge
\trequired = true
[filter "process"]
\tprocess = {cage}/process
[merge "evil"]
\tdriver = {cage}/merge-driver
[merge]
\tdefault = evil
[gpg]
\tprogram = {cage}/gpg
[commit]
\tgpgSign = true
[tag]
\tgpgSign = true
[credential]
\thelper = {cage}/credential
[interactive]
\tdiffFilter = {cage}/diff-filter
[sequence]
\teditor = {cage}/sequence
[trailer "evil"]
\tcommand = {cage}/trailer
[uploadpack]
\tpackObjectsHook = {cage}/pack-objects
[include]
\tpath = {cage}/included
[user]
\tname = The Repository
\temail = evil@example.org
[alias]
\tls-files = !{cage}/alias
\tdiff-tree = !{cage}/alias
\tfast-import = !{cage}/alias
\tupdate-ref = !{cage}/alias
"""

ATTRIBUTES = "*.py filter=evil diff=evil merge=evil\n*.dat filter=process diff=evil merge=evil\n"


def make_cage(cage: Path) -> Path:
    """Programs that leave a mark when they run; the directory of the marks."""
    marks = cage / "marks"
    marks.mkdir(parents=True)
    programs = [
        line.split("=")[1].strip().format(cage=cage) for line in CONFIG.splitlines() if "{cage}" in line
    ]
    programs += [f"{cage}/hooks/{hook}" for hook in HOOKS.split()]
    for program in programs:
        path = Path(program.removeprefix("!"))
        path.parent.mkdir(exist_ok=True)
        if path.name == "hooks":
            continue
        path.write_text(f"#!/bin/sh\ntouch '{marks}/{path.name}'\ncat\n")
        path.chmod(0o755)
    (cage / "included").write_text(f"[core]\n\tfsmonitor = {cage}/fsmonitor\n")
    (cage / "attributes").write_text(ATTRIBUTES)
    return marks


def plant(git_dir: Path, cage: Path) -> None:
    """Make a git directory hostile."""
    with (git_dir / "config").open("a") as config:
        config.write(CONFIG.format(cage=cage))
    shutil.rmtree(git_dir / "hooks", ignore_errors=True)
    shutil.copytree(cage / "hooks", git_dir / "hooks")
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info/attributes").write_text(ATTRIBUTES)


@pytest.fixture
def cage(tmp_path: Path) -> Path:
    make_cage(tmp_path / "cage")
    return tmp_path / "cage"


@pytest.fixture
def source(tmp_path: Path, cage: Path) -> Path:
    """A repository in which everything that can carry a program does, down to its submodule and a nested one."""
    inner = make_repository(tmp_path / "inner", {"lib.py": "lib\n", ".gitattributes": ATTRIBUTES})
    source = make_repository(
        tmp_path / "source", {"a.py": "one\n", "b.dat": "one\n", "gone.py": "", "kept.py": "k\n"}
    )
    git(source, "submodule", "add", "-q", str(inner), "vendor")
    write_files(source, {".gitattributes": ATTRIBUTES})
    git(source, "add", "-A")
    git(source, "commit", "-qm", "hostile")
    make_repository(source / "nested", {"n.py": "n\n", ".gitattributes": ATTRIBUTES})
    git(source, "update-index", "--split-index")
    write_files(source, {"a.py": "two\n", "new.py": "new\n", "b.dat": "two\n"})
    (source / "gone.py").unlink()
    for git_dir in (source / ".git", source / ".git/modules/vendor", source / "nested/.git"):
        plant(git_dir, cage)
    return source


def marks(cage: Path) -> list[str]:
    return sorted(os.listdir(cage / "marks"))


def test_the_canaries_sing_for_plain_git(source: Path, cage: Path) -> None:
    for command in (
        ["status"],
        ["diff"],
        ["-c", "diff.external=", "diff"],
        ["commit", "-qam", "x"],
        ["checkout", "-qf", "."],
    ):
        subprocess.run(["git", *command], cwd=source, capture_output=True, stdin=subprocess.DEVNULL)
    assert {"fsmonitor", "clean", "diff-command", "process", "post-index-change"} <= set(marks(cage))
    subprocess.run(["git", "update-ref", "refs/heads/x", "HEAD"], cwd=source, capture_output=True)
    assert "reference-transaction" in marks(cage)


def test_reading_it_runs_and_writes_nothing(source: Path, cage: Path, tmp_path: Path) -> None:
    before = picture(source)
    repository = find_repository(source / "nested/..")
    listing = list_files(repository)
    assert set(listing.files) >= {"a.py", "b.dat", "new.py", "vendor/lib.py", "nested/n.py"}
    assert head_commit(repository)
    workspace = Workspace.create(source, tmp_path / "state")
    assert workspace.read("a.py") == b"two\n"
    assert not workspace.exists("gone.py")
    assert not any(workspace.exists(path) for path in ("vendor/.git", "nested/.git"))
    workspace.close()
    assert marks(cage) == []
    assert picture(source) == before


def sabotage(workspace: Workspace, cage: Path) -> None:
    """What commands inside could have done, with the throw-away repository and others hostile."""
    root = workspace.root
    make_repository(root / "planted", {"p.py": "p\n"})
    git(root, "init", "-q", "planted/empty")
    for git_dir in (root / ".git", root / "planted/.git", root / "planted/empty/.git"):
        plant(git_dir, cage)
    shutil.copytree(root / "planted/.git", root / "vendor/.git")
    write_files(
        root, {".gitattributes": ATTRIBUTES * 2, "src/.gitattributes": ATTRIBUTES, ".gitmodules": "x"}
    )
    write_files(
        root, {"a.py": "fixed\n", "b.dat": "fixed\n", "src/new.py": "new\n", "vendor/lib.py": "fixed\n"}
    )
    (root / "kept.py").chmod(0o755)
    os.mkfifo(root / "fifo")


def test_a_whole_run_runs_nothing(source: Path, cage: Path, tmp_path: Path) -> None:
    before = picture(source)
    workspace = Workspace.create(source, tmp_path / "state")
    sabotage(workspace, cage)
    first = workspace.snapshot()
    changed = {change.path for change in workspace.changes()}
    assert changed >= {"a.py", "b.dat", "src/new.py", "vendor/lib.py", "planted/p.py", "kept.py"}
    assert not [path for path in changed if ".git/" in path]
    patch = workspace.patch()
    assert b"-two\n+fixed\n" in patch
    check(patch)
    workspace.restore(workspace.base)
    workspace.restore(first)
    fresh = workspace.fresh(tmp_path / "fresh", first, overlay={"a.py": b"overlaid\n"})
    assert fresh.read("b.dat") == b"fixed\n"
    fresh.close()
    assert marks(cage) == []
    assert picture(source) == before
    workspace.apply_to_source(until=first)
    assert (source / "a.py").read_text() == (source / "b.dat").read_text() == "fixed\n"
    assert {p: x for p, x in picture(source).items() if ".git/" in p} == {
        p: x for p, x in before.items() if ".git/" in p
    }
    workspace.close()
    assert marks(cage) == []


def test_writing_a_branch_runs_nothing(
    source: Path, cage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"home/.gitconfig": "[user]\n\tname = Ada\n"})
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    workspace = Workspace.create(source, tmp_path / "state")
    before = picture(source)
    workspace.write("kept.py", b"k\nfixed\n")
    workspace.write("src/new.py", b"new\n")
    workspace.write("added.dat", b"new\n")
    commit = workspace.write_branch("coder/fix", message="Fix")
    assert marks(cage) == []
    after = picture(source)
    new = {path for path in after if path not in before}
    assert all(
        path.startswith((".git/objects/", ".git/refs/heads/coder", ".git/logs/refs/heads/coder"))
        for path in new
    )
    assert {path: after[path] for path in before} == before
    clean = tmp_path / "clean"
    shutil.copytree(source / ".git", clean)
    (clean / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
    shutil.rmtree(clean / "hooks")
    assert git(clean, "diff", "--name-only", "HEAD", commit).split() == ["added.dat", "kept.py", "src/new.py"]
    assert git(clean, "log", "-1", "--format=%an", commit) == "Ada\n"


@pytest.mark.parametrize(
    "setting", ["core.worktree=/", "core.bare=true", "core.repositoryformatversion=99", "[broken"]
)
def test_config_that_breaks_git_does_not_reach_the_copy(tmp_path: Path, setting: str) -> None:
    source = make_repository(tmp_path / "source", {"a.py": "one\n"})
    if setting.startswith("["):
        (source / ".git/config").write_text(setting)
    else:
        git(source, "config", *setting.split("="))
    workspace = Workspace.create(source, tmp_path / "state")
    assert set(workspace.tree_files(workspace.base)) == {"a.py"}
    workspace.close()


# Files in `.git` that are not what they seem


@pytest.mark.parametrize("name", ["index", "HEAD", "config", "packed-refs", "info/exclude", "commondir"])
@pytest.mark.parametrize("what", ["fifo", "link", "sparse", "junk", "directory"])
def test_a_git_directory_full_of_traps_gives_a_copy_or_a_clear_error(
    tmp_path: Path, name: str, what: str
) -> None:
    source = make_repository(tmp_path / "source", {"a.py": "one\n"})
    path = source / ".git" / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    match what:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to("/etc/shadow")
        case "sparse":
            with path.open("wb") as file:
                file.truncate(1 << 40)
        case "junk":
            path.write_bytes(os.urandom(5000))
        case "directory":
            path.mkdir()
    said = ""
    try:
        workspace = Workspace.create(source, tmp_path / "state")
    except SandboxError as error:
        said = f"{error} {error.hint}"
    else:
        assert workspace.read("a.py") == b"one\n"
    assert said or name != "index"
    assert "root:" not in said  # nothing of what a link pointed to


def hostile_index(path: Path, names: list[str]) -> None:
    """Write an index by our own writer: git would not put these names into one, but it reads them back."""
    nothing = os.stat(path)
    write_index(
        path,
        [Placed(name, "100644", nothing) for name in names],
        dict.fromkeys(names, TreeFile("100644", "1" * 40)),
    )


def test_an_index_with_names_that_lead_out(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "source", {"a.py": "one\n"})
    write_files(tmp_path, {"secret": "secret", "source/sub/.git/config": "x"})
    names = [
        "a.py",
        "../secret",
        str(tmp_path / "secret"),
        "sub/../../secret",
        ".git/config",
        "sub//x",
        ".",
        "..",
        "/",
    ]
    hostile_index(source / ".git/index", names)
    workspace = Workspace.create(source, tmp_path / "state")
    assert set(workspace.tree_files(workspace.base)) == {"a.py"}
    assert {"../secret", ".git/config"} <= {item.path for item in workspace.skipped}
    workspace.close()


def test_a_git_file_that_points_anywhere(tmp_path: Path) -> None:
    """The files come from the directory that was asked for, whatever index their names come from."""
    other = make_repository(tmp_path / "other", {"secret": "secret", "a.py": "the other's"})
    write_files(tmp_path, {"source/a.py": "mine", "source/.git": f"gitdir: {other}/.git\n"})
    workspace = Workspace.create(tmp_path / "source", tmp_path / "state")
    assert not workspace.exists("secret")
    assert workspace.read("a.py") == b"mine"
    workspace.close()


def test_environment_variables_of_git_do_not_steer_us(
    tmp_path: Path, cage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `.envrc` or a wrapper may have set any of them."""
    source = make_repository(tmp_path / "source", {"a.py": "one\n"})
    other = make_repository(tmp_path / "other", {"b.py": "two\n"})
    evil = {
        "GIT_DIR": f"{other}/.git",
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": f"{other}/.git/index",
        "GIT_OBJECT_DIRECTORY": f"{other}/.git/objects",
        "GIT_EXTERNAL_DIFF": f"{cage}/diff-external",
        "GIT_EXEC_PATH": str(cage),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={cage}/fsmonitor'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": f"{cage}/fsmonitor",
        "GIT_TRACE": f"{tmp_path}/trace",
        "GIT_NAMESPACE": "elsewhere",
        "GIT_TEMPLATE_DIR": str(cage),
    }
    for name, value in evil.items():
        monkeypatch.setenv(name, value)
    workspace = Workspace.create(source, tmp_path / "state")
    workspace.write("a.py", b"fixed\n")
    assert set(workspace.tree_files(workspace.snapshot())) == {"a.py"}
    assert b"-one\n+fixed\n" in workspace.patch()
    workspace.apply_to_source()
    workspace.close()
    assert marks(cage) == []
    assert not (tmp_path / "trace").exists()
