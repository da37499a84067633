"""Each gate stops a change and lets one pass, in a real repository with a real sandbox."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import EDIT, SUBMIT, TEST, Coder, git, scripted
from tests.scripted_server import Turn

PYPROJECT = """[tool.ruff]
lint.select = ["F"]
[tool.mypy]
disallow_untyped_defs = true
"""
GOOD = "sed -i 's/a - b/a + b/' calc.py"


def bash(command: str) -> Turn:
    return Turn(calls=[("bash", {"command": command})])


def outcomes(result: dict[str, object]) -> dict[str, str]:
    evidence = result["evidence"]
    assert isinstance(evidence, dict)
    return {gate["name"]: gate["outcome"] for gate in evidence["gates"]}


@pytest.fixture
def configured(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The usual repository with a linter and a type checker, and old complaints of both. They are installed beside us."""
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    (repository / "pyproject.toml").write_text(PYPROJECT)
    (repository / "old.py").write_text("import os\n\n\ndef untyped(x):\n    return x\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "checkers")
    return repository


CASES = [
    ("minimal", f"{GOOD}; echo 'print(1)' > repro.py"),
    ("minimal", f"{GOOD}; cp calc.py calc.py.orig"),
    ("no-secrets", f"{GOOD}; echo 'PASSWORD = \"h7Kq2pL9xW\"' >> calc.py"),
    ("runs-nothing-later", f"{GOOD}; echo 'all:' > Makefile"),
    ("parses", f"{GOOD}; echo 'x = (' > other.py"),
    ("tests-unchanged", "sed -i 's/== 5/== -1/' test_calc.py"),
    ("fixed", "sed -i 's/a - b/a * b/' calc.py"),
    ("no-regressions", f"{GOOD}; sed -i 's/a \\* 2/a * 3/' calc.py"),
]


@pytest.mark.parametrize(("gate", "change"), CASES, ids=[f"{gate}-{n}" for n, (gate, _) in enumerate(CASES)])
def test_a_change_that_a_gate_must_stop(coder: Coder, gate: str, change: str) -> None:
    with scripted([bash(change), TEST, *[SUBMIT] * 6]) as server:
        done = coder(server, "--max-turns", "4")
    assert done.exit in (1, 3), done.stderr
    if done.exit == 1:
        assert outcomes(done.result)[gate] == "failed"
        assert done.result["reason"] == f"gate:{gate}"


def test_a_change_that_its_own_tests_never_run(repository: Path, coder: Coder) -> None:
    """The test passes because of a file that is no code; the lines that were changed are dead."""
    (repository / "calc.py").write_text(
        "import json, pathlib\n\n\ndef add(a, b):\n"
        "    return a + json.loads(pathlib.Path('sign.json').read_text()) * b\n\n\ndef double(a):\n    return a * 2\n"
    )
    (repository / "sign.json").write_text("-1")
    git(repository, "commit", "-aqm", "sign")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "sign")
    change = "echo 1 > sign.json; printf '\\n\\ndef never():\\n    x = 1\\n    return x\\n' > dead.py"
    with scripted([bash(change), TEST, SUBMIT], after="repeat") as server:
        done = coder(server)
    assert done.exit == 1, done.stderr
    assert outcomes(done.result)["covered"] == "failed"


@pytest.mark.parametrize(
    ("gate", "more"),
    [("lint", "sed -i '1i import sys' calc.py"), ("types", "sed -i '1i x: int = \"one\"' calc.py")],
)
def test_new_complaints_of_the_repositorys_own_checkers(
    configured: Path, coder: Coder, gate: str, more: str
) -> None:
    with scripted([bash(f"{GOOD}; {more}"), TEST, SUBMIT], after="repeat") as server:
        done = coder(server, "--sandbox", "bubblewrap")
    assert done.exit == 1, done.stderr
    assert outcomes(done.result)[gate] == "failed"
    failed = next(entry for entry in done.result["evidence"]["gates"] if entry["name"] == gate)
    assert "calc.py" in failed["output"]
    assert "old.py" not in failed["output"]


def test_old_complaints_are_nobodys_business_here(configured: Path, coder: Coder) -> None:
    checks = [sys.executable, "-m", "ruff", "check", "-q", "."]
    assert subprocess.run(checks, cwd=configured, capture_output=True, check=False).returncode == 1
    with scripted([EDIT, TEST, SUBMIT]) as server:
        done = coder(server, "--sandbox", "bubblewrap")
    assert done.exit == 0, done.stderr
    assert set(outcomes(done.result).values()) == {"passed"}


def test_the_user_may_allow_what_runs_later(coder: Coder) -> None:
    with scripted([bash(f"{GOOD}; echo 'all:' > Makefile"), TEST, SUBMIT]) as server:
        done = coder(server, "--allow-runs-later")
    assert done.exit == 0, done.stderr
    assert outcomes(done.result)["runs-nothing-later"] == "passed"
