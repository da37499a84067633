"""Which failing tests speak against a change, and where in it one leads."""

from __future__ import annotations

import pytest

from coder.workflows.evidence import Tests
from coder.workflows.gates.source import ChangedFile
from coder.workflows.review.regressions import newly_failing, place

SHOP = ChangedFile("shop.py", b"a\nb\nc\n", b"a\nB\nc\nd\n")
TESTS = ChangedFile("test_shop.py", None, b"def test_a(): ...\n")


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ("test_shop.py:1: in test_a\nshop.py:3: in total\nshop.py:4: in tax\nE   KeyError", ("shop.py", 4)),
        ("shop.py:2: in total\nlib.py:9: KeyError", ("shop.py", 2)),
        ("shop.py:3: in total", ("shop.py", 2)),
        ("test_shop.py:1: in test_a\nlib.py:9: KeyError", ("test_shop.py", 1)),
        ("lib.py:9: KeyError", ("shop.py", 2)),
        ("", ("shop.py", 2)),
    ],
    ids=["last changed line", "through it", "next to one", "a test", "elsewhere", "nothing said"],
)
def test_the_line_of_the_change(output: str, found: tuple[str, int]) -> None:
    assert place(output, [TESTS, SHOP]) == found


def test_a_change_of_tests_alone() -> None:
    assert place("test_shop.py:1: AssertionError", [TESTS]) == ("test_shop.py", 1)


def test_a_file_that_only_lost_lines() -> None:
    assert place("", [ChangedFile("shop.py", b"a\nb\n", b"a\n")]) == ("shop.py", 0)


BEFORE = Tests(
    passed=frozenset({"test_a.py::works", "test_c.py::case[1]"}),
    failing=frozenset({"test_a.py::fails", "test_b.py"}),
)
THEN = {"test_a.py", "test_b.py", "test_c.py", "test_late.py"}


@pytest.mark.parametrize(
    ("test", "counts"),
    [
        ("test_a.py::works", True),
        ("test_c.py", True),
        ("test_a.py::added", True),
        ("test_new.py::added", True),
        ("test_a.py::fails", False),
        ("test_b.py::any", False),
        ("test_late.py::any", False),
        ("test_new.py", False),
    ],
    ids=[
        "worked",
        "the file worked",
        "a new test",
        "a new file",
        "failed before",
        "its file could not be imported before",
        "nobody knows how it was before",
        "a new file that cannot be imported",
    ],
)
def test_what_fails_only_with_the_change(test: str, counts: bool) -> None:
    assert newly_failing(Tests(failing=frozenset({test})), BEFORE, THEN) == ({test} if counts else set())
