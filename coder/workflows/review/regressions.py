"""What the tests say of a change under review: those that fail with it and not without it.

No model is asked. The tests that concern the change are run with it; what fails is run without it, and once more with it,
since a test that fails now and then is no proof.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from coder import events
from coder.config import Config
from coder.events import Emit
from coder.review_events import Finding
from coder.workflows.evidence import Evidence, Gate, Tests
from coder.workflows.gates.source import ChangedFile
from coder.workflows.gates.tests import covers, some
from coder.workflows.review.change import Between
from coder.workflows.site import Site
from coder.workflows.suite import ran, run_suite
from coder.workflows.targets import is_test, related_tests
from sandbox.text import clean_text

NAME = "tests"
MAX_PROOF = 1500
"""Characters of the failing tests' output that are kept."""
MAX_FILES = 20
"""Test files that are run, the closest to the change; all of a large suite would take longer than the review."""
_PLACE = re.compile(r"^([\w./-]+):(\d+): ", re.MULTILINE)


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
    now, then = workspace.tree_files(between.after), workspace.tree_files(between.before)
    changed = [file.path for file in files]
    targets = related_tests(changed, now, lambda path: workspace.shadow.blob(now[path].id))
    if not (targets or config.test) or not (await site.sandbox()).runs:
        return Regressions()

    async def run(tree: str, stage: str, wanted: Sequence[str]) -> Tests:
        async with site.clean(tree) as sandbox:
            tests = await run_suite(sandbox, wanted, config=config, python=await site.python())
        await emit(ran(stage, tests))
        return tests

    await emit(events.Activity(text="running the tests that concern the change"))
    after = await run(between.after, "after", targets[:MAX_FILES])
    if after.problem:
        await emit(events.Warning(text=f"the tests say nothing of this change: {after.problem}"))
        return Regressions()
    old = sorted({path for path in map(_file, after.failing) if path in then or config.test})
    before = await run(between.before, "before", old) if old else Tests()
    if before.problem or not (new := _new(after, before)):
        return Regressions(Evidence(after=after))
    again = await run(between.after, "after", sorted(new))
    if not (broken := new & again.failing):
        return Regressions(Evidence(after=after))
    found = _finding(broken, before, again, files, config.test)
    return Regressions(Evidence(after=after, gates=[Gate("no-regressions", False, found.reason)]), (found,))


def _new(after: Tests, before: Tests) -> frozenset[str]:
    """What fails only now. A file that is new and cannot be imported is left out: it may want what is not installed."""
    return frozenset(test for test in after.failing - before.failing if "::" in test or _worked(test, before))


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
    """Where in the change a traceback leads: its last changed line, else the changed line nearest to where it passes a
    changed file, else the change's first line of code."""
    code = [file for file in files if not is_test(file.path)] or list(files)
    added = {file.path: [line for line, _ in file.added()] for file in code}
    passed = [(path, int(line)) for path, line in _PLACE.findall(output) if added.get(path)]
    for path, line in reversed(passed):
        if line in added[path]:
            return path, line
    if passed:
        path, line = passed[-1]
        return path, min(added[path], key=lambda number: abs(number - line))
    path = next((path for path, lines in added.items() if lines), code[0].path)
    return path, next(iter(added[path]), 0)


def _file(test: str) -> str:
    return test.partition("::")[0]
