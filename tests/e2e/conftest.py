"""The whole program from outside: a real repository, a real sandbox, a scripted model over real HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import golden_run
from tests.conftest import IMAGE
from tests.scripted_server import ScriptedServer, Turn

CALC = "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 2\n"
TESTS = """from calc import add, double


def test_add():
    assert add(2, 3) == 5


def test_double():
    assert double(4) == 8
"""
LIST = Turn(calls=[("bash", {"command": "ls"})])
READ = Turn(calls=[("str_replace_editor", {"command": "view", "path": "/workspace/calc.py"})])
TEST = Turn(calls=[("run_tests", {})])
EDIT = Turn(
    calls=[
        (
            "str_replace_editor",
            {"command": "str_replace", "path": "/workspace/calc.py", "old_str": "a - b", "new_str": "a + b"},
        )
    ]
)
SUBMIT = Turn(calls=[("submit", {"summary": "add subtracted instead of adding"})])
SOLVES = [LIST, READ, TEST, EDIT, TEST, SUBMIT]

SANDBOXES = [
    pytest.param(["--sandbox", "bubblewrap"], id="bubblewrap"),
    pytest.param(["--sandbox", "docker", "--image", IMAGE], id="docker", marks=pytest.mark.docker),
]


@dataclass(frozen=True)
class Finished:
    """How the program ended; `result` is its JSON."""

    exit: int
    result: dict[str, Any]
    stderr: str


def git(directory: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True)


def tree(directory: Path) -> dict[str, str]:
    """Every file below `directory`, `.git` included, with its mode and content: what byte-identical means."""
    found = {}
    for root, folders, files in os.walk(os.fsencode(directory)):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            status = os.lstat(path)
            content = b""
            if os.path.islink(path):
                content = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    content = file.read()
            found[os.fsdecode(path)] = f"{status.st_mode:o} {hashlib.sha256(content).hexdigest()}"
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit, one bug, two tests of which one fails."""
    path = tmp_path / "repository"
    path.mkdir()
    (path / "calc.py").write_text(CALC)
    (path / "test_calc.py").write_text(TESTS)
    git(path, "init", "-q")
    git(path, "add", "-A")
    git(path, "commit", "-qm", "start")
    return path


Coder = Callable[..., Finished]


def command(repository: Path, server: ScriptedServer, *flags: str, task: str = "failing test") -> list[str]:
    base = [sys.executable, "-m", "coder", "fix", task, "-C", str(repository), "--base-url", server.base_url]
    return [*base, "--strategy", "agent", "--output-format", "json", *flags]


@pytest.fixture
def coder(repository: Path) -> Coder:
    """Runs `coder fix` against a scripted model and returns how it ended."""

    def run(server: ScriptedServer, *flags: str, task: str = "failing test") -> Finished:
        done = subprocess.run(
            command(repository, server, *flags, task=task),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        result = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        if result.get("journal"):
            golden_run.check(Path(result["journal"]))
        return Finished(done.returncode, result, done.stderr)

    return run


def scripted(turns: Sequence[Turn], **options: Any) -> ScriptedServer:
    return ScriptedServer(turns, model="scripted-model", **options)
