"""New tests on mutated sources; the runs themselves are played here, and real in the end-to-end tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from coder.workflows.evidence import Gate, Tests
from coder.workflows.gates import mutation
from coder.workflows.gates.coverage import Lines

CODE = b"def total(items):\n    return sum(items)\n\n\ndef other():\n    return 1\n"
TEST = "test_shop.py::test_total"


class Played:
    """Tests that fail wherever one of `noticed` is in the mutated source, and run the lines `ran`."""

    def __init__(self, noticed: dict[str, str], ran: frozenset[int], *, problem: str = "") -> None:
        self.noticed = noticed
        self.ran = ran
        self.problem = problem
        self.trials: list[Mapping[str, bytes]] = []

    async def seen(self, wanted: Mapping[str, list[int]]) -> Mapping[str, Lines]:
        return {path: Lines(frozenset(lines), self.ran & set(lines)) for path, lines in wanted.items()}

    async def trial(self, laid: Mapping[str, bytes], tests: frozenset[str]) -> Tests:
        self.trials.append(laid)
        text = b"".join(laid.values()).decode()
        failing = frozenset(test for test in tests if self.noticed.get(test, "\0") in text)
        return Tests(failing=failing, passed=tests - failing, problem=self.problem)

    def gate(self, *tests: str, source: str = "total", sources: Mapping[str, bytes] | None = None) -> Gate:
        found = {"shop.py": CODE} if sources is None else sources
        return asyncio.run(mutation.tests_can_fail(frozenset(tests), source, found, self.seen, self.trial))


def test_a_test_that_notices_a_mutant_passes_the_gate() -> None:
    played = Played({TEST: "    return None"}, frozenset({2}))
    gate = played.gate(TEST)
    assert gate.outcome == "passed"
    assert "shop.py:2 total: does nothing" in gate.output
    assert len(played.trials) == 1


def test_a_test_that_notices_nothing_fails_it() -> None:
    gate = Played({}, frozenset({2})).gate(TEST)
    assert gate.outcome == "failed"
    assert gate.detail == f"{TEST} passes however the code is broken"
    assert gate.output.count("total") == 2


def test_each_new_test_must_notice_something() -> None:
    gate = Played({TEST: "    return None"}, frozenset({2})).gate(TEST, "test_shop.py::test_idle")
    assert gate.outcome == "failed"
    assert gate.detail == "test_shop.py::test_idle passes however the code is broken"


def test_where_nothing_is_seen_to_run_all_is_broken_at_once() -> None:
    """As with tests that start the program as another process."""
    played = Played({TEST: "def other():\n    return None"}, frozenset())
    assert played.gate(TEST).outcome == "passed"
    assert Played({}, frozenset()).gate(TEST).outcome == "failed"


def test_where_there_is_more_than_can_be_tried_all_is_broken_at_once() -> None:
    many = b"".join(b"def f%d():\n    return %d\n" % (n, n) for n in range(100))
    played = Played({TEST: "def f99():\n    return None"}, frozenset(range(300)))
    gate = played.gate(TEST, source="", sources={"shop.py": many})
    assert gate.outcome == "passed"
    assert len(played.trials) == mutation.MAX_MUTANTS + 1


def test_a_wreck_on_which_nothing_can_be_collected_tells_nothing() -> None:
    assert Played({}, frozenset(), problem="no report").gate(TEST).outcome == "not_applicable"


def test_without_python_there_is_nothing_to_mutate() -> None:
    assert Played({}, frozenset()).gate(TEST, sources={}).outcome == "not_applicable"


def test_modules_that_the_tests_mention_come_first_and_tests_are_no_source() -> None:
    files = {
        "a.py": b"",
        "zoo/__init__.py": b"",
        "z.py": b"",
        "tests/zoo.py": b"",
        "test_z.py": b"",
        "x.js": b"",
    }
    assert list(mutation.sources_for("from zoo import a_b", files, files.__getitem__)) == [
        "zoo/__init__.py",
        "a.py",
        "z.py",
    ]


def test_no_more_source_than_a_command_can_name() -> None:
    long = b"\n" * mutation.MAX_LINES
    files = {"a.py": long, "b.py": long}
    assert list(mutation.sources_for("b", files, files.__getitem__)) == ["b.py"]


def test_a_mutant_has_time_but_not_for_ever() -> None:
    assert mutation.timeout(0.1) == mutation.MIN_TIMEOUT
    assert mutation.timeout(100.0) == 300.0
