"""Each gate stops a change and lets one pass, in a real repository with a real sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import CALC, EDIT, SUBMIT, TEST, Coder, Finished, command, git, scripted
from tests.scripted_server import ScriptedServer, Turn

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


def writes(path: str, text: str) -> Turn:
    return Turn(calls=[("str_replace_editor", {"command": "create", "path": path, "file_text": text})])


@pytest.fixture
def coder_run(repository: Path) -> Coder:
    """Runs `coder run` in the repository, whose bug is mended first."""
    (repository / "calc.py").write_text(CALC.replace("a - b", "a + b"))
    git(repository, "commit", "-qam", "mended")

    def run(server: ScriptedServer, *flags: str, task: str) -> Finished:
        words = command(repository, server, *flags, task=task)
        words[words.index("fix")] = "run"
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        return Finished(done.returncode, json.loads(done.stdout), done.stderr)

    return run


SUMS = "from calc import add, double\n\n\ndef test_sums():\n    assert add(double(1), 3) == 5\n"
IDLE = SUMS.replace("assert add(double(1), 3) == 5", "add(2, 3)")
SAID = "Write tests for calc.py"


def test_new_tests_that_fail_on_mutated_source(repository: Path, coder_run: Coder) -> None:
    with scripted([writes("/workspace/test_sums.py", SUMS), TEST, SUBMIT]) as server:
        done = coder_run(server, "--apply", task=SAID)
    assert done.exit == 0, done.stderr
    assert outcomes(done.result)["tests-can-fail"] == "passed"
    assert (repository / "test_sums.py").read_text() == SUMS


def test_a_new_test_without_an_assertion(coder_run: Coder) -> None:
    with scripted([writes("/workspace/test_sums.py", IDLE), TEST, SUBMIT], after="repeat") as server:
        done = coder_run(server, task=SAID)
    assert done.exit == 1, done.stderr
    assert done.result["reason"] == "gate:tests-can-fail"
    (gate,) = (each for each in done.result["evidence"]["gates"] if each["name"] == "tests-can-fail")
    assert gate["detail"] == "test_sums.py::test_sums passes however the code is broken"
    assert "calc.py:2 add: does nothing" in gate["output"]


def test_the_model_is_told_and_may_mend_its_test(coder_run: Coder) -> None:
    turns = [
        writes("/workspace/test_sums.py", IDLE),
        TEST,
        SUBMIT,
        writes("/workspace/test_sums.py", SUMS),
        TEST,
        SUBMIT,
    ]
    with scripted(turns) as server:
        done = coder_run(server, task=SAID)
    assert done.exit == 0, done.stderr
    told = json.dumps(server.requests[3].body["messages"])
    assert "test_sums.py::test_sums passes however the code is broken" in told


def test_a_new_test_beside_old_ones_in_the_same_file(repository: Path, coder_run: Coder) -> None:
    idle = (repository / "test_calc.py").read_text() + "\n\ndef test_idle():\n    double(1)\n"
    with scripted([bash(f"cat > test_calc.py <<'E'\n{idle}E"), TEST, SUBMIT], after="repeat") as server:
        done = coder_run(server, task=SAID)
    assert done.exit == 1, done.stderr
    (gate,) = (each for each in done.result["evidence"]["gates"] if each["name"] == "tests-can-fail")
    assert gate["detail"] == "test_calc.py::test_idle passes however the code is broken"


def test_new_tests_of_a_program_in_another_process(coder_run: Coder) -> None:
    """What they run cannot be seen; they can fail all the same."""
    whole = (
        "import subprocess, sys\n\n\ndef test_it():\n"
        "    code = 'import calc; print(calc.add(1, 2))'\n"
        "    assert subprocess.check_output([sys.executable, '-c', code]).strip() == b'3'\n"
    )
    with scripted([writes("/workspace/test_whole.py", whole), TEST, SUBMIT]) as server:
        done = coder_run(server, task=SAID)
    assert done.exit == 0, done.stderr
    assert outcomes(done.result)["tests-can-fail"] == "passed"


def test_new_tests_with_the_code_that_they_are_for(coder_run: Coder) -> None:
    change = "printf '\\n\\ndef half(a):\\n    return a / 2\\n' >> calc.py"
    test = "import calc\n\n\ndef test_half():\n    assert calc.half(4) == 2\n"
    with scripted([bash(change), writes("/workspace/test_half.py", test), TEST, SUBMIT]) as server:
        done = coder_run(server, task="add a function half with a test")
    assert done.exit == 0, done.stderr
    assert outcomes(done.result)["tests-can-fail"] == "passed"


@pytest.mark.parametrize(
    ("change", "exit_status"),
    [
        ('sed -i \'s/^def add.*/&\\n    """The sum."""/\' calc.py; echo \'Use add.\' > README.md', 0),
        ('sed -i \'s/^def add.*/&\\n    """The sum."""/; s/a \\* 2/a + a/\' calc.py', 1),
    ],
)
def test_documentation_leaves_the_code_as_it_is(coder_run: Coder, change: str, exit_status: int) -> None:
    with scripted([bash(change), TEST, SUBMIT], after="repeat") as server:
        done = coder_run(server, task="Document the public functions of calc.py")
    assert done.exit == exit_status, done.stderr
    assert outcomes(done.result)["code-unchanged"] == ("failed" if exit_status else "passed")
