"""`coder review` from outside: a scripted reviewer over HTTP, proofs that run in real sandboxes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import git, tree
from tests.e2e.test_review import reported
from tests.scripted_server import ScriptedServer, Turn

BROKEN = "def add(a, b):\n    return a + b + 0.1\n\n\ndef double(a):\n    return a * 2\n"
FOUND = {
    "file": "calc.py",
    "line": 9,
    "severity": "error",
    "reason": "sums are a tenth too high",
    "quote": "    return a + b + 0.1",
    "command": "python -c 'from calc import add; assert add(1, 2) < 3'",
}


@pytest.fixture
def changed(repository: Path) -> Path:
    """On a branch: one commit, one change that is not committed, one new file."""
    git(repository, "checkout", "-qb", "work")
    (repository / "calc.py").write_text(BROKEN)
    git(repository, "commit", "-qam", "sums")
    (repository / "test_calc.py").write_text("def test_nothing():\n    pass\n")
    (repository / "new.py").write_text("x = 1\n")
    return repository


def review(
    where: Path, turns: Sequence[Turn], *flags: str, stdin: str = ""
) -> tuple[subprocess.CompletedProcess[str], ScriptedServer]:
    with ScriptedServer(turns, model="scripted-model", after="repeat") as server:
        words = [sys.executable, "-m", "coder", "review", "-C", str(where), "--base-url", server.base_url]
        done = subprocess.run(
            [*words, *flags], cwd="/", input=stdin, capture_output=True, text=True, timeout=200
        )
    return done, server


def test_a_finding_with_its_proof(changed: Path) -> None:
    before = tree(changed)
    done, server = review(changed, [reported("REQUEST_CHANGES", FOUND)])
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "calc.py:2: error: sums are a tenth too high"
    assert "$ python -c" in lines[1]
    assert "AssertionError" in done.stdout
    assert lines[-1] == "1 findings"
    assert tree(changed) == before
    asked = server.requests[0].body["messages"][1]["content"]
    for shown in (
        "calc.py (changed)",
        "    2+     return a + b + 0.1",
        "test_calc.py (changed)",
        "new.py (new file)",
    ):
        assert shown in asked


def test_nothing_wrong(changed: Path) -> None:
    done, _ = review(changed, [reported("APPROVE")])
    assert (done.returncode, done.stdout.strip()) == (0, "0 findings"), done.stderr


def test_what_is_not_backed_is_left_out_and_counted(changed: Path) -> None:
    guess = {**FOUND, "quote": "nowhere", "command": "false"}
    done, _ = review(changed, [reported("REQUEST_CHANGES", guess)])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0 findings; 1 more had no proof and are left out"


def test_only_what_is_not_committed(changed: Path) -> None:
    done, server = review(changed, [reported("APPROVE")], "--base", "HEAD")
    assert done.returncode == 0, done.stderr
    asked = server.requests[0].body["messages"][1]["content"]
    assert "calc.py (changed)" not in asked.replace("test_calc.py", "")
    assert "new.py (new file)" in asked


def test_a_patch(repository: Path) -> None:
    (repository / "calc.py").write_text(BROKEN)
    patch = subprocess.run(["git", "diff"], cwd=repository, capture_output=True, text=True).stdout
    git(repository, "checkout", "-q", "calc.py")
    proof = {**FOUND, "command": "python -c 'from calc import add; assert add(1, 2) < 3'"}
    done, _ = review(repository, [reported("REQUEST_CHANGES", proof)], "--diff", "-", stdin=patch)
    assert done.returncode == 1, done.stderr
    assert "sums are a tenth too high" in done.stdout


@pytest.mark.parametrize("form", ["json", "sarif", "github"])
def test_forms_for_programs(changed: Path, form: str) -> None:
    found = {**FOUND, "reason": "too high,\nby 10% :: \x1b[31m"}
    done, _ = review(changed, [reported("REQUEST_CHANGES", found)], "--format", form, "-q")
    assert "\x1b" not in done.stdout
    if form == "github":
        assert done.stdout.startswith("::error file=calc.py,line=2::too high,%0Aby 10%25 ::")
        assert len(done.stdout.splitlines()) == 1
        return
    parsed: dict[str, Any] = json.loads(done.stdout)
    if form == "json":
        assert parsed["verdict"] == "REQUEST_CHANGES"
        assert parsed["findings"][0]["backed"]
        assert sorted(parsed["files"]) == ["calc.py", "new.py", "test_calc.py"]
    else:
        (result,) = parsed["runs"][0]["results"]
        assert result["level"] == "error"
        where = result["locations"][0]["physicalLocation"]
        assert where == {"artifactLocation": {"uri": "calc.py"}, "region": {"startLine": 2}}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--base", "nowhere"], "there is no commit nowhere"),
        (["--base", "--output=/x"], "is no revision"),
        (["--diff", "/nowhere"], "/nowhere cannot be read"),
    ],
)
def test_what_cannot_be_reviewed_is_said(changed: Path, flags: list[str], said: str) -> None:
    done, server = review(changed, [reported("APPROVE")], *flags)
    assert done.returncode == 2
    assert said in done.stderr
    assert not server.requests


def test_nothing_to_review_is_said(repository: Path) -> None:
    done, _ = review(repository, [reported("APPROVE")])
    assert done.returncode == 2
    assert "there is nothing to review" in done.stderr


def test_a_large_change_is_reviewed_in_parts(repository: Path) -> None:
    for number in range(6):
        (repository / f"part{number}.py").write_text("".join(f"value_{n} = {n}\n" for n in range(600)))
    done, server = review(repository, [reported("APPROVE")], "--base", "HEAD", "--samples", "1")
    assert done.returncode == 0, done.stderr
    asked = [request.body["messages"][1]["content"] for request in server.requests]
    assert 2 <= len(asked) <= 6
    assert all("part5.py" in text.partition("\n\n# The change\n")[2].partition("\n\n")[0] for text in asked)
    assert all(sum(f"part{n}.py (new file)" in text for text in asked) == 1 for n in range(6))


def test_a_hostile_repository_runs_nothing_here(changed: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (changed / ".gitattributes").write_text("*.py filter=x diff=x export-ignore\n")
    config = f'[filter "x"]\n\tsmudge = touch {mark}\n\tclean = touch {mark}\n[diff "x"]\n\tcommand = touch {mark}\n'
    with open(changed / ".git/config", "a") as file:
        file.write(config + f"[core]\n\tfsmonitor = touch {mark}\n")
    done, server = review(changed, [reported("APPROVE")])
    assert done.returncode == 0, done.stderr
    assert "calc.py (changed)" in server.requests[0].body["messages"][1]["content"]
    assert not mark.exists()


def test_a_model_too_small_for_tools_is_believed_only_with_proof(changed: Path) -> None:
    quoted = {name: value for name, value in FOUND.items() if name != "command"}
    small = ("--profile", "small-coder")
    done, _ = review(changed, [reported("REQUEST_CHANGES", quoted)])
    assert done.returncode == 1, done.stderr
    done, _ = review(changed, [reported("REQUEST_CHANGES", quoted)], *small)
    assert (done.returncode, done.stdout.strip()) == (
        0,
        "0 findings; 1 more had no proof and are left out",
    ), done.stderr
    done, server = review(changed, [reported("REQUEST_CHANGES", FOUND)], *small)
    assert done.returncode == 1, done.stderr
    first, *others = [request.body["temperature"] for request in server.requests]
    assert all(first < each for each in others), "samples of a cold model would be one sample three times"


BREAKS = "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    half = a\n    return half\n"
"""`double` is broken by it; `add` was broken before."""


def test_a_test_that_the_change_breaks_is_a_finding_whatever_the_model_says(repository: Path) -> None:
    (repository / "calc.py").write_text(BREAKS)
    done, server = review(repository, [reported("APPROVE")], "--base", "HEAD")
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert (
        lines[0] == "calc.py:6: error: test_calc.py::test_double passes without this change and fails with it"
    )
    assert lines[1].strip() == "$ python -m pytest test_calc.py::test_double"
    assert "assert 4 == 8" in done.stdout
    assert lines[-1] == "1 findings"
    asked = server.requests[0].body["messages"][1]["content"]
    assert "Tests after the change: 0 pass, 2 fail" in asked
    assert "no-regressions: test_calc.py::test_double passes without this change" in asked


def test_a_module_that_cannot_be_imported_any_more(repository: Path) -> None:
    (repository / "calc.py").write_text("import nowhere\n")
    done, _ = review(repository, [reported("APPROVE")], "--base", "HEAD")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(
        "calc.py:1: error: test_calc.py passes without this change and fails with it"
    )
    assert "No module named 'nowhere'" in done.stdout


def test_a_test_of_the_change_that_fails(repository: Path) -> None:
    """A whole file that cannot be imported is another thing: what it wants may not be installed here."""
    (repository / "test_more.py").write_text("def test_more():\n    assert 1 == 2\n")
    (repository / "test_missing.py").write_text("import nowhere\n")
    done, _ = review(repository, [reported("APPROVE")], "--base", "HEAD")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("test_more.py:2: error: test_more.py::test_more is new and fails")
    assert "test_missing" not in done.stdout


def test_a_test_that_failed_before_is_no_finding(repository: Path) -> None:
    (repository / "calc.py").write_text(f"{(repository / 'calc.py').read_text()}# later\n")
    done, _ = review(repository, [reported("APPROVE")], "--base", "HEAD")
    assert "test_calc" not in done.stdout
    assert (done.returncode, done.stdout.strip()) == (0, "0 findings"), done.stderr


def test_a_test_that_does_not_fail_again_is_no_finding(repository: Path) -> None:
    """It fails only behind the other one, which is not run again."""
    ran = "ran = []\n\n\ndef test_first():\n    ran.append(1)\n\n\ndef test_second():\n    assert not ran\n"
    (repository / "test_order.py").write_text(ran)
    done, server = review(repository, [reported("APPROVE")], "--base", "HEAD")
    assert "Tests after the change: 1 pass, 1 fail" in server.requests[0].body["messages"][1]["content"]
    assert (done.returncode, done.stdout.strip()) == (0, "0 findings"), done.stderr


def test_no_test_is_run_where_none_is_wanted(repository: Path) -> None:
    (repository / "calc.py").write_text(BREAKS)
    done, server = review(repository, [reported("APPROVE")], "--base", "HEAD", "--no-tests")
    assert (done.returncode, done.stdout.strip()) == (0, "0 findings"), done.stderr
    assert "# What was seen" not in server.requests[0].body["messages"][1]["content"]


def test_a_test_command_of_the_users(repository: Path) -> None:
    (repository / "calc.py").write_text(BREAKS)
    command = "python -c 'from calc import double; assert double(2) == 4'"
    done, _ = review(repository, [reported("APPROVE")], "--base", "HEAD", "--test", command)
    assert done.returncode == 1, done.stderr
    assert f"$ {command}" in done.stdout


def test_what_the_tests_found_is_told_though_the_model_fails(repository: Path) -> None:
    (repository / "calc.py").write_text(BREAKS)
    refuses = Turn(status=400, body={"error": {"message": "no such template", "code": 400}})
    done, _ = review(repository, [refuses], "--base", "HEAD")
    assert done.returncode == 1, done.stderr
    assert "test_calc.py::test_double passes without this change" in done.stdout
    assert "no model reviewed it" in done.stderr
