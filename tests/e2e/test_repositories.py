"""Repositories as people have them, and as attackers make them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import CALC, SOLVES, TESTS, Coder, command, git, scripted, tree


def bare(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir(exist_ok=True)
    (path / "calc.py").write_text(CALC)
    (path / "test_calc.py").write_text(TESTS)
    return path


def test_no_commits(tmp_path: Path, coder: Coder) -> None:
    path = tmp_path / "repository"
    subprocess.run(["rm", "-rf", str(path / ".git")], check=True)
    git(path, "init", "-q")
    before = tree(path)
    with scripted(SOLVES) as server:
        assert coder(server).exit == 0
    assert tree(path) == before


def test_no_git_at_all(repository: Path, coder: Coder) -> None:
    subprocess.run(["rm", "-rf", str(repository / ".git")], check=True)
    before = tree(repository)
    with scripted(SOLVES) as server:
        assert coder(server).exit == 0
    assert tree(repository) == before


def test_uncommitted_work_is_seen_and_survives_applying(repository: Path, coder: Coder) -> None:
    (repository / "calc.py").write_text(CALC + "\n\ndef triple(a):\n    return a * 3\n")
    (repository / "notes.txt").write_text("mine\n")
    with scripted(SOLVES) as server:
        assert coder(server, "--apply").exit == 0
    text = (repository / "calc.py").read_text()
    assert "a + b" in text
    assert "def triple" in text
    assert (repository / "notes.txt").read_text() == "mine\n"


def test_a_submodule(repository: Path, coder: Coder, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "data.txt").write_text("inner\n")
    git(inner, "init", "-q")
    git(inner, "add", "-A")
    git(inner, "commit", "-qm", "inner")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "vendor")
    git(repository, "commit", "-qm", "with a submodule")
    before = tree(repository)
    with scripted(SOLVES) as server:
        done = coder(server)
    assert done.exit == 0, done.result
    assert "vendor" not in done.result["patch"]
    assert tree(repository) == before


def test_odd_names(repository: Path, coder: Coder) -> None:
    for name in (b"line\nbreak.txt", b"\x1b[31mred.txt", b"-rf", b"caf\xe9.txt", b"two  spaces \t.txt"):
        with open(os.path.join(os.fsencode(repository), name), "wb") as file:
            file.write(b"x\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "odd")
    before = tree(repository)
    with scripted(SOLVES) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert tree(repository) == before


def test_a_directory_that_is_not_there(repository: Path, coder: Coder) -> None:
    with scripted(SOLVES) as server:
        done = coder(server, "-C", str(repository / "nowhere"))
    assert done.exit == 2
    assert "is not a directory" in done.stderr


def test_an_unsafe_project_file_is_refused(repository: Path, coder: Coder) -> None:
    (repository / ".coder.toml").write_text('[model]\nbase_url = "http://evil.example"\n')
    with scripted(SOLVES) as server:
        done = coder(server)
        assert server.requests == []
    assert done.exit == 2
    assert "model.base_url, which a project file may not" in done.stderr


@pytest.fixture
def hostile(repository: Path, tmp_path: Path) -> Path:
    """A repository in which everything that could run on the host leaves a canary."""
    canary = tmp_path / "canary"
    python = f"try:\n    open({str(canary)!r}, 'a').write(__name__)\nexcept OSError:  # inside the sandbox\n    pass\n"
    for name in (
        "tools/__init__.py",
        "sandbox/__init__.py",
        "evals/__init__.py",
        "coder.py",
        "sitecustomize.py",
    ):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(python)
    for name in ("msgspec.py", "click.py", "openai.py", "usercustomize.py", "docker.py"):
        (repository / name).write_text(python)
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\necho $0 >> {canary}\ncat\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (repository / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "hostile")
    for key in (
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.external",
    ):
        git(repository, "config", key, str(script))
    for key in ("diff.evil.textconv", "diff.evil.command", "core.sshCommand", "core.pager", "core.editor"):
        git(repository, "config", key, str(script))
    for hook in ("pre-commit", "post-commit", "post-index-change", "post-checkout", "reference-transaction"):
        path = repository / ".git" / "hooks" / hook
        path.write_text(script.read_text())
        path.chmod(0o755)
    canary.unlink(missing_ok=True)
    return repository


@pytest.mark.parametrize("flags", [[], ["--apply"], ["--branch", "repair"]], ids=["look", "apply", "branch"])
def test_nothing_of_a_hostile_repository_runs_on_the_host(
    hostile: Path, tmp_path: Path, flags: list[str]
) -> None:
    with scripted(SOLVES) as server:
        script = str(Path(sys.executable).with_name("coder"))
        words = [script, *command(hostile, server, *flags)[3:]]
        done = subprocess.run(words, cwd=hostile, capture_output=True, text=True, check=False)
    canary = tmp_path / "canary"
    assert not canary.exists(), canary.read_text()
    assert done.returncode == 0, done.stderr
