"""What the gates saw, kept with the patch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TAIL = 3000
"""Characters of a test run's output that a model is shown."""


MAX_OUTPUT = 4000
"""Characters of a gate's output that are kept."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One check that a patch must pass; `detail` is a sentence, `output` what the check printed.

    A gate that is not `applicable` had nothing to check, or no means; it stops nobody.
    """

    name: str
    passed: bool
    detail: str = ""
    output: str = ""
    applicable: bool = True

    @property
    def outcome(self) -> str:
        """passed, failed or not_applicable."""
        return ("passed" if self.passed else "failed") if self.applicable else "not_applicable"

    def as_dict(self) -> dict[str, Any]:
        kept = {"output": self.output[-MAX_OUTPUT:]} if self.output else {}
        return {
            "name": self.name,
            "passed": self.passed,
            "outcome": self.outcome,
            "detail": self.detail,
            **kept,
        }


def not_applicable(name: str, why: str) -> Gate:
    """A gate that had nothing to check."""
    return Gate(name, True, why, applicable=False)


@dataclass(frozen=True, slots=True)
class Tests:
    """One run of the tests in a clean sandbox. Names are pytest node ids, or the test command itself."""

    __test__ = False

    passed: frozenset[str] = frozenset()
    failing: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    seconds: float = 0.0
    output: str = ""
    timed_out: bool = False
    problem: str = ""
    """Why this run cannot be believed (no report, a timeout, a forged report); empty when it can."""

    @property
    def tail(self) -> str:
        """The end of the output, as much as a model is shown."""
        return self.output[-TAIL:]

    @property
    def count(self) -> int:
        return len(self.passed) + len(self.failing) + len(self.skipped)

    def counts(self) -> dict[str, Any]:
        return {
            "passed": len(self.passed),
            "failed": len(self.failing),
            "skipped": len(self.skipped),
            "failing": sorted(self.failing)[:50],
            "seconds": round(self.seconds, 2),
            **({"problem": self.problem} if self.problem else {}),
            **({"output": self.output[-MAX_OUTPUT:]} if self.failing or self.problem else {}),
        }


Tested = dict[tuple[str, ...], Tests]
"""Runs in clean sandboxes, by snapshot and the named tests; no name means all."""


@dataclass(slots=True)
class Evidence:
    """Filled as the run goes on; whatever is missing was not seen."""

    before: Tests | None = None
    after: Tests | None = None
    gates: list[Gate] = field(default_factory=list)
    flagged: tuple[str, ...] = ()
    """Files of the patch that run later on the user's machine: CI workflows, hooks, build scripts."""

    review: dict[str, Any] | None = None
    """The verdict that stands, and every round; None where nobody reviewed."""
    candidates: dict[str, Any] | None = None
    """Which of several candidates was chosen, and why; None where there was one attempt."""
    hashes: dict[str, str] = field(default_factory=dict)
    """What was judged: base (git's id of the tree before), patch (SHA-256) and tests (SHA-256 of the test files'
    paths and blob ids as they were run). A reader who has the same three has the same case."""

    @property
    def passed(self) -> bool:
        """True only when there were gates and every one was passed."""
        return bool(self.gates) and all(gate.passed for gate in self.gates)

    def first_failure(self) -> Gate | None:
        return next((gate for gate in self.gates if not gate.passed), None)

    def as_dict(self) -> dict[str, Any]:
        return {
            "tests_before": self.before.counts() if self.before else None,
            "tests_after": self.after.counts() if self.after else None,
            "gates": [gate.as_dict() for gate in self.gates],
            "review": self.review,
            "candidates": self.candidates,
            "flagged": list(self.flagged),
            "hashes": self.hashes,
        }
