"""Whether changed lines are run: read from a real pytest in a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coder.workflows.gates import coverage
from coder.workflows.gates.coverage import Lines, changed_lines, judged, ranges, read_lines
from coder.workflows.gates.source import ChangedFile

CODE = """LIMIT = 5


def sign(x):
    if x < 0:
        return -1
    return 1


def other():
    return sign(
        2
    )
"""
TESTS = "from shop import sign, LIMIT\n\n\ndef test_sign():\n    assert sign(3) == 1\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(CODE)
    (tmp_path / "test_shop.py").write_text(TESTS)
    return tmp_path


def seen(folder: Path, lines: list[int], test: str = "test_shop.py") -> dict[str, Lines]:
    script = coverage._script(sys.executable, [test], {"shop.py": lines})
    plugin = Path(coverage.__file__).with_name("coverage_plugin.py").read_bytes()
    environ = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, input=plugin, capture_output=True, check=True, env=environ
    )
    return read_lines(done.stdout.decode())


def test_lines_that_can_run_and_lines_that_do(shop: Path) -> None:
    found = seen(shop, list(range(1, 14)))
    assert found["shop.py"].can_run >= {1, 4, 5, 6, 7, 10, 11}
    assert not found["shop.py"].can_run & {2, 3, 8, 9}
    assert found["shop.py"].ran >= {1, 4, 5, 7, 10}
    assert not found["shop.py"].ran & {6, 11}


def test_only_the_lines_that_were_asked_for(shop: Path) -> None:
    assert seen(shop, [6])["shop.py"] == Lines(frozenset({6}), frozenset())


def test_a_test_that_crashes_gives_no_answer(shop: Path) -> None:
    (shop / "test_shop.py").write_text("import os\n\n\ndef test_it():\n    os._exit(3)\n")
    assert seen(shop, [1]) == {}


def test_a_change_that_no_test_runs_does_not_pass() -> None:
    gate = judged({"shop.py": Lines(frozenset({6, 7}), frozenset())})
    assert not gate.passed
    assert gate.detail == "0 of 2 changed lines are run by the tests that failed before; not run: shop.py:6-7"


def test_a_change_that_is_partly_run_passes_and_says_what_is_not() -> None:
    gate = judged({"shop.py": Lines(frozenset({5, 6, 9}), frozenset({5}))})
    assert gate.passed
    assert "1 of 3 changed lines" in gate.detail
    assert "shop.py:6,9" in gate.detail


def test_without_an_answer_or_a_line_the_gate_does_not_apply() -> None:
    assert judged({}).outcome == "not_applicable"
    assert judged({"shop.py": Lines(frozenset(), frozenset())}).outcome == "not_applicable"


def test_tests_and_empty_lines_and_other_languages_are_no_changed_lines() -> None:
    files = [
        ChangedFile("shop.py", b"a = 1\n", b"a = 2\n\nb = 3\n"),
        ChangedFile("tests/test_shop.py", None, b"x = 1\n"),
        ChangedFile("shop.js", b"", b"x\n"),
        ChangedFile("gone.py", b"x = 1\n", None),
    ]
    assert changed_lines(files) == {"shop.py": [1, 3]}


def test_where_lines_are_gone_the_line_that_took_their_place_is_changed() -> None:
    """Two branches in another order: what differs is also where the first one stood, and that is what the test runs."""
    branches = (
        b"if x > 5:\n    a()\nif x > 9:\n    b()\nc()\n",
        b"if x > 9:\n    b()\nelif x > 5:\n    a()\nc()\n",
    )
    assert changed_lines([ChangedFile("shop.py", *branches)]) == {"shop.py": [1, 3, 4]}
    assert changed_lines([ChangedFile("shop.py", b"a\nb\n\nc\n", b"a\n\nc\n")]) == {}
    assert changed_lines([ChangedFile("shop.py", b"a\nb\n", b"a\n")]) == {}


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", '{"a": 1}', '{"a": [[1], "b"]}', '{"a": [["x"], []]}', "[" * 99999]
)
def test_an_answer_that_is_none_is_none(text: str) -> None:
    assert read_lines(text) == {}


def test_ranges_are_short() -> None:
    assert ranges([1, 2, 3, 5, 8, 9]) == "1-3,5,8-9"
