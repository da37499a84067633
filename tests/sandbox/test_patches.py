"""What a patch may do to the user's tree."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sandbox.errors import PatchRefused
from sandbox.patches import PatchReport, check
from sandbox.runs_later import runs_later
from sandbox.workspace import Workspace
from tests.sandbox.repositories import git, make_repository, write_files


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    source = make_repository(tmp_path / "source", {"src/main.py": "1\n2\n3\n", "data.bin": bytes(range(256))})
    workspace = Workspace.create(source, tmp_path / "state")
    yield workspace
    workspace.close()


def flags(patch: bytes) -> dict[str, str]:
    return {flag.path: flag.reason for flag in check(patch).flagged}


def new_file(path: str, content: str = "x\n", mode: str = "100644") -> bytes:
    """A patch that adds a file, whatever git thinks of its name."""
    lines = content.splitlines()
    body = "".join(f"+{line}\n" for line in lines)
    end = "" if content.endswith("\n") else "\\ No newline at end of file\n"
    head = f"diff --git a/{path} b/{path}\nnew file mode {mode}\nindex {'0' * 40}..{'1' * 40}\n"
    return f"{head}--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}{end}".encode()


def reasons(patch: bytes) -> str:
    with pytest.raises(PatchRefused) as refused:
        check(patch)
    return str(refused.value)


def judged(patch: bytes) -> PatchReport | PatchRefused:
    try:
        return check(patch)
    except PatchRefused as refused:
        return refused


# What is fine


def test_counts_what_changes(workspace: Workspace) -> None:
    workspace.write("src/main.py", b"1\n2\nthree\nfour\n")
    workspace.write("with blank.py", b"-- a\n++ b\n")
    workspace.write("empty", b"")
    workspace.write("data.bin", bytes(reversed(range(256))))
    report = check(workspace.patch())
    assert (report.additions, report.deletions) == (4, 1)
    lines = {file.path: (file.additions, file.deletions, file.binary) for file in report.files}
    assert lines["src/main.py"] == (2, 1, False)
    assert lines["with blank.py"] == (2, 0, False)
    assert lines["empty"] == (0, 0, False)
    assert lines["data.bin"] == (0, 0, True)


def test_an_empty_patch_is_fine() -> None:
    assert check(b"").files == ()


def test_deleted_files_and_modes(workspace: Workspace) -> None:
    workspace.remove("data.bin")
    (workspace.root / "src/main.py").chmod(0o755)
    report = check(workspace.patch())
    assert [(file.path, file.old_mode, file.new_mode) for file in report.files] == [
        ("data.bin", "100644", None),
        ("src/main.py", "100644", "100755"),
    ]


def test_a_file_that_becomes_a_link(workspace: Workspace) -> None:
    workspace.remove("data.bin")
    (workspace.root / "data.bin").symlink_to("src/main.py")
    assert flags(workspace.patch()) == {"data.bin": "a symbolic link"}


@pytest.mark.parametrize("target", ["b", "../b", "./b", "../../b/c", "x/y"])
def test_links_within_the_tree(target: str) -> None:
    assert flags(new_file("d/e/link", target, "120000")) == {"d/e/link": "a symbolic link"}


def test_content_that_looks_like_a_header_is_content(workspace: Workspace) -> None:
    hostile = "diff --git a/../x b/../x\n--- a/../x\n+++ b/../x\n@@ -1 +1 @@\nGIT binary patch\n"
    workspace.write("src/main.py", hostile.encode())
    report = check(workspace.patch())
    assert [file.path for file in report.files] == ["src/main.py"]
    workspace.restore(workspace.base)
    second = workspace.fresh(workspace.root.parent / "second", overlay={"src/main.py": hostile.encode()})
    second.write("src/main.py", b"")
    assert check(second.patch()).deletions == 5
    second.close()


# What is refused


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../outside", "`..`"),
        ("a/../../outside", "`..`"),
        ("/etc/passwd", "not a relative path"),
        ("a//b", "empty parts"),
        ("./a", "`.`"),
        (".git/config", "git directory"),
        (".GIT/hooks/post-checkout", "git directory"),
        ("sub/.git/config", "git directory"),
        ("sub/.git", "git directory"),
        (".git./config", "git directory"),
        (".git /config", "git directory"),
        ("git~1/config", "git directory"),
        (".git::$INDEX_ALLOCATION/config", "git directory"),
        (".g\u200cit/config", "git directory"),
        ("a\\.git\\config", "git directory"),
        ("n" * 300, "too long"),
        ("n/" * 600 + "n", "too long"),
        ("a\x1b[2Jb", "control characters"),
        ("a\x9bb", "control characters"),
        ("\u202egnp.exe", "control characters"),
        ("a\rb", "control characters"),
    ],
)
def test_paths(path: str, why: str) -> None:
    assert why in reasons(new_file(path))


@pytest.mark.parametrize("quoted", ['"a\\033[2J"', '"new\\nline"', '"\\302\\233"', '"\\342\\200\\256x"'])
def test_quoted_paths_are_judged_by_what_they_stand_for(quoted: str) -> None:
    name = quoted.strip('"')
    patch = f'diff --git "a/{name}" "b/{name}"\nnew file mode 100644\nindex {"0" * 40}..{"1" * 40}\n'
    assert "control characters" in reasons(patch.encode())


def test_a_reason_is_safe_to_show() -> None:
    assert "\x1b" not in reasons(new_file("a\x1b[2Jb"))


@pytest.mark.parametrize("mode", ["160000", "104755", "100777", "040000", "060000"])
def test_modes(mode: str) -> None:
    assert mode in reasons(new_file("a", mode=mode)) or "submodule" in reasons(new_file("a", mode=mode))


@pytest.mark.parametrize(
    "target",
    [
        "/etc/shadow",
        "../../outside",
        "../x/../../../y",
        "a/../../../outside",
        "d/../../x",
        "../..",
        ".git/config",
        "x/.GIT/hooks",
    ],
)
def test_links_that_lead_out_of_the_tree(target: str) -> None:
    assert "link" in reasons(new_file("d/link", target, "120000"))


def test_a_changed_link_is_judged_like_a_new_one(workspace: Workspace) -> None:
    (workspace.root / "link").symlink_to("data.bin")
    first = workspace.snapshot()
    (workspace.root / "link").unlink()
    (workspace.root / "link").symlink_to("/etc/shadow")
    assert "/etc/shadow" in reasons(workspace.patch(since=first))
    with pytest.raises(PatchRefused, match="/etc/shadow"):
        workspace.judge(since=first)


def test_a_change_must_say_what_kind_of_file_it_is() -> None:
    """Without a mode git applies it to whatever is there: an existing link, for one."""
    patch = b"diff --git a/link b/link\n--- a/link\n+++ b/link\n@@ -1 +1 @@\n-old\n+/etc/shadow\n"
    assert "what kind of file" in reasons(patch)


def test_renames_are_refused() -> None:
    patch = b"diff --git a/link b/d/link\nsimilarity index 100%\nrename from link\nrename to d/link\n"
    assert "not one file" in reasons(patch)


@pytest.mark.parametrize(
    "patch",
    [
        b"hello\n",
        b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
        b"From 0000 Mon Sep 17\n" + new_file("a"),
        new_file("a") + b"trailing\n",
        new_file("a")[:-1],
        new_file("a").replace(b"+x\n", b""),
        new_file("a").replace(b"+1,1", b"+1,2"),
        new_file("a").replace(b"+x\n", b"+x\n+y\n"),
        new_file("a").replace(b"+++ b/a", b"+++ b/../b"),
        new_file("a").replace(b"--- /dev/null", b"--- a/.git/config"),
        new_file("a").replace(b" b/a\n", b" b/b\n", 1),
        new_file("a").replace(b"100644", b"10644"),
        new_file("a").replace(b"\n", b"\r\n"),
        b"diff --cc a\n",
        b"diff --git a/x b/x\nindex 0000..1111 100644\nBinary files a/x and b/x differ\n",
        b"diff --git a/x b/x\nindex 0000..1111 100644\nGIT binary patch\n",
        b"diff --git a/x b/x\nindex 0000..1111 100644\nGIT binary patch\nliteral 3\nabc\n",
    ],
)
def test_what_is_not_understood_to_the_last_line_is_refused(patch: bytes) -> None:
    assert reasons(patch)


def test_all_reasons_are_given() -> None:
    said = reasons(new_file("../a") + new_file("b", mode="160000") + new_file("c"))
    assert "../a" in said
    assert "b: a link to another repository" in said
    assert "c:" not in said


def test_sizes() -> None:
    with pytest.raises(PatchRefused, match="at most 10"):
        check(new_file("a"), max_bytes=10)
    with pytest.raises(PatchRefused, match="2 files"):
        check(new_file("a") + new_file("b"), max_files=1)


@settings(max_examples=200, database=None, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 200))
@example(b"", 0, 0)
def test_any_bytes_are_judged_or_refused_and_never_crash(junk: bytes, start: int, length: int) -> None:
    good = new_file("dir/file", "one\ntwo\n") + new_file("link", "dir", "120000")
    for patch in (junk, good[:start] + junk + good[start + length :]):
        verdict = judged(patch)
        if isinstance(verdict, PatchRefused):
            assert verdict.reasons
        else:
            assert all(not file.path.startswith("/") for file in verdict.files)


names = st.text(st.characters(exclude_characters="\0/\n", exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=15, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(names, st.binary(max_size=60), min_size=1, max_size=4))
def test_counts_as_git_does_whatever_the_names(files: dict[str, bytes]) -> None:
    """`git diff --numstat` counts in other code than ours."""
    with tempfile.TemporaryDirectory() as place:
        root = make_repository(Path(place, "source"), {"x": "1\n"})
        write_files(root, {f"d/a{name}": data for name, data in files.items()})
        git(root, "add", "-A", "-f")
        staged = ["diff", "--cached", "--no-renames"]
        patch = os.fsencode(git(root, *staged, "--binary", "--full-index"))
        lines = [line.split("\t") for line in git(root, *staged, "--numstat", "-z").split("\0") if line]
        verdict = judged(patch)
        if isinstance(verdict, PatchRefused):
            assert all("control characters" in reason for reason in verdict.reasons)
        else:
            assert {(file.path, file.additions) for file in verdict.files} == {
                (path, 0 if added == "-" else int(added)) for added, _, path in lines
            }


# What deserves a second look


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        "sub/.gitlab-ci.yml",
        ".husky/pre-commit",
        ".pre-commit-config.yaml",
        ".gitattributes",
        "tests/conftest.py",
        "setup.py",
        "pyproject.toml",
        "Makefile",
        "package.json",
        "Dockerfile",
        ".envrc",
        ".vscode/tasks.json",
        ".VSCode/tasks.json",
        "AGENTS.md",
        ".coder.toml",
        "sub/CLAUDE.md",
        ".coder/config.toml",
        ".cursor/rules/x",
        ".mcp.json",
        "sitecustomize.py",
        "lib/evil.pth",
        ".bashrc",
    ],
)
def test_files_that_run_later_are_flagged(path: str) -> None:
    assert flags(new_file(path)) == {path: runs_later(path)}


@pytest.mark.parametrize(
    "path",
    [
        "src/main.py",
        "docs/setup.md",
        "tests/test_a.py",
        "src/hooks/use.ts",
        "makefiles.py",
        "github/workflows/x",
    ],
)
def test_ordinary_files_are_not(path: str) -> None:
    assert flags(new_file(path)) == {}


def test_deleting_such_a_file_is_not_flagged(workspace: Workspace) -> None:
    workspace.write("Makefile", b"all:\n")
    first = workspace.snapshot()
    workspace.remove("Makefile")
    assert flags(workspace.patch(since=first)) == {}


def test_new_executables_are_flagged(workspace: Workspace) -> None:
    (workspace.root / "src/main.py").chmod(0o755)
    assert flags(workspace.patch()) == {"src/main.py": "executable"}
    assert {flag.path: flag.reason for flag in workspace.judge()} == {"src/main.py": "executable"}


def test_binary_content_is_flagged(workspace: Workspace) -> None:
    workspace.write("data.bin", b"\0\1\2")
    assert flags(workspace.patch()) == {"data.bin": "binary content"}
