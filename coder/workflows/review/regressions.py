"""What the tests say of a change under review: those that fail with it and not without it.

No model is asked. The tests that concern the change are run with it; what fails is run without it, and once more with it,
since a test that fails now and then is no proof.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from coder import events
from coder.config import Config
from coder.events import Emit
from coder.review_events import Finding
from coder.workflows.evidence import Evidence, Gate, Tests
from coder.workflows.frames import frames
from coder.workflows.gates.source import ChangedFile
from coder.workflows.gates.tests import covers, some
from coder.workflows.review.change import Between
from coder.workflows.site import Site
from coder.workflows.suite import ran, run_suite
from coder.workflows.targets import holds_tests, is_test, related_tests
from sandbox.base import Sandbox
from sandbox.text import clean_text
from sandbox.workspace import Workspace

NAME = "tests"
MAX_PROOF = 1500
"""Characters of the failing tests' output that are kept."""
SECONDS = 120.0
"""For the tests with the change, file by file, the closest to it first; all of a large suite would take longer than the
review."""


@dataclass(frozen=True, slots=True)
class Regressions:
    """`evidence` is for the reviewer, `findings` are for everybody."""

    evidence: Evidence | None = None
    findings: tuple[Finding, ...] = ()


async def regressions(
    site: Site, between: Between, files: Sequence[ChangedFile], config: Config, emit: Emit
) -> Regressions:
    """Run the tests that concern the change. Nothing comes of it where no test can be run."""
    workspace = await site.workspace()
    changed = [file.path for file in files]
    # a command of the user's is one target, and has its own time
    lots: list[list[str]] = [[]]
    seconds = config.test_timeout
    if not config.test:
        targets = await asyncio.to_thread(_concerned, workspace, between.after, changed)
        lots, seconds = [[target] for target in targets], SECONDS
    if not lots or not (await site.sandbox()).runs:
        return Regressions()

    async def run(tree: str, stage: str, wanted: Sequence[Sequence[str]]) -> Tests:
        async with site.clean(tree) as sandbox:
            tests = await _within(seconds, sandbox, wanted, config, await site.python())
        await emit(ran(stage, tests))
        return tests

    await emit(events.Activity(text="running the tests that concern the change"))
    after = await run(between.after, "after", lots)
    if after.problem:
        await emit(events.Warning(text=f"the tests say nothing of this change: {after.problem}"))
        if advice := await site.advice():
            await emit(events.Warning(text=advice))
        return Regressions()
    if not after.failing:
        return Regressions(Evidence(after=after))
    then = await asyncio.to_thread(workspace.tree_files, between.before)
    if not config.test:
        lots = [[file] for file in sorted({_file(test) for test in after.failing} & then.keys())]
    before = await run(between.before, "before", lots) if lots else Tests()
    if before.problem or not (new := newly_failing(after, before, then)):
        return Regressions(Evidence(after=after))
    again = await run(between.after, "after", [sorted(new)])
    if not (broken := new & again.failing):
        return Regressions(Evidence(after=after))
    found = _finding(broken, before, again, files, config.test)
    return Regressions(Evidence(after=after, gates=[Gate("no-regressions", False, found.reason)]), (found,))


def _concerned(workspace: Workspace, tree: str, changed: Sequence[str]) -> tuple[str, ...]:
    tests = {path: file for path, file in workspace.tree_files(tree).items() if holds_tests(path)}
    sources = workspace.shadow.blobs(file.id for file in tests.values())
    return related_tests(changed, zip(tests, sources, strict=True))


async def _within(
    seconds: float, sandbox: Sandbox, wanted: Sequence[Sequence[str]], config: Config, python: str
) -> Tests:
    """Run the targets of `wanted`, one lot after the other, as far as the time goes. A lot that comes to nothing is a
    problem only where nothing else was seen."""
    until = time.monotonic() + seconds
    seen: list[Tests] = []
    for targets in wanted:
        left = until - time.monotonic()
        if left < 1:
            break
        lasting = replace(config, test_timeout=min(left, config.test_timeout))
        seen.append(await run_suite(sandbox, targets, config=lasting, python=python))
    good = [tests for tests in seen if not tests.problem]
    return Tests(
        passed=frozenset().union(*(tests.passed for tests in good)),
        failing=frozenset().union(*(tests.failing for tests in good)),
        skipped=frozenset().union(*(tests.skipped for tests in good)),
        seconds=sum(tests.seconds for tests in seen),
        output="\n".join(tests.output for tests in good),
        problem="" if good else next((tests.problem for tests in seen), "no time was left"),
    )


def newly_failing(after: Tests, before: Tests, then: Container[str]) -> frozenset[str]:
    """What fails only now: it worked, or is new in a file that was run before, or in a file that is new. A file that
    cannot be imported and is new is left out: it may want what is not installed here."""
    seen = {_file(test) for test in before.passed | before.failing | before.skipped}
    return frozenset(
        test
        for test in after.failing
        if _worked(test, before)
        or (
            "::" in test
            and (_file(test) in seen or _file(test) not in then)
            and not any(covers(failing, test) for failing in before.failing)
        )
    )


def _worked(test: str, before: Tests) -> bool:
    return any(covers(test, passed) for passed in before.passed)


def _finding(
    broken: frozenset[str], before: Tests, again: Tests, files: Sequence[ChangedFile], command: str
) -> Finding:
    worked = sorted(test for test in broken if _worked(test, before))
    told = worked or sorted(broken)
    said = "passes without this change and fails with it" if worked else "is new and fails"
    file, line = place(again.output, files)
    shown = command or f"python -m pytest {' '.join(told[:3])}"
    return Finding(
        id=NAME,
        file=file,
        line=line,
        severity="error",
        reason=f"{some(told)} {said}",
        backed=True,
        proof=f"$ {shown}\n{clean_text(again.output)[-MAX_PROOF:].strip()}",
    )


def place(output: str, files: Sequence[ChangedFile]) -> tuple[str, int]:
    """Where in the change a traceback leads: its last changed line of code, else the changed line nearest to where it
    passes changed code, else where it passes a changed test, else the change's first line."""
    added = {file.path: [line for line, _ in file.added()] for file in files}
    passed = list(frames(output, [path for path, lines in added.items() if lines]))
    code = [(path, line) for path, line in passed if not is_test(path)]
    for path, line in reversed(code):
        if line in added[path]:
            return path, line
    if code:
        path, line = code[-1]
        return path, min(added[path], key=lambda number: abs(number - line))
    if passed:
        return passed[-1]
    path = next((path for path, lines in added.items() if lines and not is_test(path)), files[0].path)
    return path, next(iter(added[path]), 0)


def _file(test: str) -> str:
    return test.partition("::")[0]
