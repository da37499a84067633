"""The gates on tests, and what each does not let through."""

from __future__ import annotations

from typing import Literal

import pytest

from coder.workflows.evidence import Evidence, Gate, Tests
from coder.workflows.gates import tests as gates
from sandbox.workspace import Change, TreeFile

A, B, C = "tests/test_a.py::test_a", "tests/test_a.py::test_b", "tests/test_a.py::test_c"


OLD, NEW = TreeFile("100644", "old"), TreeFile("100644", "new")
KINDS = {"added": (None, NEW), "deleted": (OLD, None), "modified": (OLD, NEW), "mode": (OLD, OLD)}


def change(path: str, kind: Literal["added", "modified", "deleted", "mode"] = "modified") -> Change:
    return Change(path, kind, *KINDS[kind])


def test_fixed_wants_every_failing_test_to_pass() -> None:
    after = Tests(passed=frozenset({A, C}), failing=frozenset({B}))
    assert gates.fixed(frozenset({A}), after).passed
    assert not gates.fixed(frozenset({A, B}), after).passed


@pytest.mark.parametrize("after", [Tests(), Tests(passed=frozenset({B})), Tests(skipped=frozenset({A}))])
def test_a_test_that_is_gone_or_skipped_is_not_fixed(after: Tests) -> None:
    assert not gates.fixed(frozenset({A}), after).passed


def test_a_run_that_cannot_be_believed_fixes_nothing() -> None:
    after = Tests(passed=frozenset({A}), problem="the report does not fit the exit status")
    assert not gates.fixed(frozenset({A}), after).passed
    assert not gates.no_regressions(Tests(), after).passed


def test_what_passed_before_must_pass_after() -> None:
    before = Tests(passed=frozenset({A, B}), failing=frozenset({C}))
    assert gates.no_regressions(before, Tests(passed=frozenset({A, B, C}))).passed
    assert not gates.no_regressions(before, Tests(passed=frozenset({A, C}), failing=frozenset({B}))).passed
    assert not gates.no_regressions(before, Tests(passed=frozenset({A, C}))).passed


def test_a_test_that_failed_before_and_after_is_no_regression() -> None:
    before = Tests(passed=frozenset({A}), failing=frozenset({B}))
    assert gates.no_regressions(before, before).passed


def test_without_a_failure_before_nothing_was_reproduced() -> None:
    assert not gates.reproduced(frozenset()).passed
    assert gates.reproduced(frozenset({A})).passed


@pytest.mark.parametrize("path", ["tests/test_a.py", "conftest.py", "tests/data.json", "tox.ini"])
@pytest.mark.parametrize("kind", ["modified", "deleted", "mode"])
def test_existing_tests_may_not_change(path: str, kind: Literal["modified", "deleted", "mode"]) -> None:
    assert not gates.tests_unchanged([change(path, kind)]).passed


@pytest.mark.parametrize(
    "path", ["conftest.py", "sub/conftest.py", "sitecustomize.py", "x.pth", "pytest.ini"]
)
def test_new_files_that_steer_tests_may_not_come(path: str) -> None:
    assert not gates.tests_unchanged([change(path, "added")]).passed


def test_new_tests_and_changed_code_are_welcome() -> None:
    assert gates.tests_unchanged([change("tests/test_new.py", "added"), change("shop.py")]).passed


def test_targets_cover_files_classes_and_parameters() -> None:
    before = Tests(failing=frozenset({"t.py::T::a", "t.py::b[1]", "t.py::bc", "u.py::x"}))
    assert gates.failing_targets(before, ["t.py"]) == {"t.py::T::a", "t.py::b[1]", "t.py::bc"}
    assert gates.failing_targets(before, ["t.py::b"]) == {"t.py::b[1]"}
    assert gates.failing_targets(before, ["t.py::T"]) == {"t.py::T::a"}
    assert gates.failing_targets(before, []) == before.failing


def test_no_gates_is_not_passing() -> None:
    assert not Evidence().passed
    assert Evidence(gates=[Gate("a", True)]).passed
    failed = Evidence(gates=[Gate("a", True), Gate("b", False, "why")])
    assert not failed.passed
    assert failed.first_failure() == Gate("b", False, "why")
