"""Gates on the tests: what failed passes now, what passed still does, and nobody touched the tests themselves."""

from __future__ import annotations

from collections.abc import Sequence

from coder.workflows.evidence import Gate, Tests
from coder.workflows.targets import is_test, steers_tests
from sandbox.workspace import Change


def covers(target: str, test: str) -> bool:
    """Whether the node id `test` is `target` or lies under it (a file, a class, a parametrised test)."""
    return test == target or test.startswith((target + "::", target + "["))


def failing_targets(before: Tests, targets: Sequence[str]) -> frozenset[str]:
    """The failing tests that this run is about: those under `targets`, or all when none was named."""
    if not targets:
        return before.failing
    return frozenset(test for test in before.failing if any(covers(target, test) for target in targets))


def reproduced(failing: frozenset[str]) -> Gate:
    count = len(failing)
    if not count:
        return Gate("reproduced", False, "no test was seen to fail before the change")
    return Gate("reproduced", True, f"{_tests(count)} failed before the change")


def fixed(failing: frozenset[str], after: Tests) -> Gate:
    if after.problem:
        return Gate("fixed", False, after.problem)
    missing = sorted(failing - after.passed)
    if missing:
        return Gate("fixed", False, f"still failing or gone: {some(missing)}")
    return Gate("fixed", True, f"{_tests(len(failing))} that failed before pass after the change")


def no_regressions(before: Tests, after: Tests) -> Gate:
    """Tests that passed before still pass; one that is gone counts as broken."""
    broken = sorted(before.passed - after.passed)
    if after.problem:
        return Gate("no-regressions", False, after.problem)
    if broken:
        return Gate("no-regressions", False, f"passed before, not after: {some(broken)}")
    return Gate("no-regressions", True, f"{_tests(len(before.passed))} that passed before still pass")


def tests_unchanged(changes: Sequence[Change]) -> Gate:
    """Existing test files, and all that steers how tests run, are as they were. New tests may come."""
    touched = [
        change.path
        for change in changes
        if (steers_tests(change.path) if change.kind == "added" else is_test(change.path))
    ]
    if touched:
        return Gate("tests-unchanged", False, f"changed: {some(touched)}")
    return Gate("tests-unchanged", True, "no existing test file was changed")


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few of `names`, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
