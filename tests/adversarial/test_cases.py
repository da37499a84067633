"""No case is missing, on no backend."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adversarial.cases import CASES, KINDS, Case

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def collected() -> dict[str, set[str]]:
    """The parameters of every test that the cases name, by its name without them."""
    files = sorted({test.split("::")[0] for case in CASES for test in (*case.sandboxed, *case.rules)})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *(f"tests/{file}" for file in files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        name, _, parameters = line.removeprefix("tests/").partition("[")
        if "::" in name:
            found.setdefault(name, set()).add(parameters.removesuffix("]"))
    return found


def test_there_are_42() -> None:
    assert [case.number for case in CASES] == list(range(1, 43))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.number))
def test_a_case_is_tried(case: Case, collected: dict[str, set[str]]) -> None:
    assert case.sandboxed or case.rules
    for test in (*case.sandboxed, *case.rules):
        assert test in collected, f"there is no {test}"
    for test in case.sandboxed:
        backends = {
            kind for kind in KINDS for parameters in collected[test] if kind in re.split("[-_]", parameters)
        }
        assert backends == set(KINDS), f"{test} runs on {backends} only"


def test_nothing_here_is_skipped_by_hand() -> None:
    """What depends on the machine is said by a condition; the conftest makes an error of any other skip."""
    for path in Path(__file__).parent.glob("test_*.py"):
        for line in path.read_text().splitlines():
            if re.search(r"mark\.skip\(|pytest\.skip\(|importorskip|xfail", line) and "re.search" not in line:
                raise AssertionError(f"{path.name}: {line}")
