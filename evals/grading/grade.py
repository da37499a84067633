"""Grading one patch: a fresh copy, the patch, the tests as they must be, and what they then do."""

from __future__ import annotations

import asyncio
import time

from evals.environments import EnvironmentFailed, Place
from evals.grading.logs import read
from evals.grading.outcome import FAILED, PASSED, SKIPPED, XFAIL, judge
from evals.instance import Instance
from evals.result import Grade, Status
from sandbox.base import Sandbox
from sandbox.errors import FileRefused, SandboxError
from tools.testing import TestRun, run_command_tests

APPLY_SECONDS = 60.0
_OUTCOMES = {"passed": PASSED, "failed": FAILED, "error": FAILED, "skipped": SKIPPED}
_LADDER = ("git apply -", "git apply --3way -", "patch --batch --forward --fuzz=5 -p1")
"""As the official harness tries them, but without `--reject`, which would grade half a patch."""


async def grade(instance: Instance, patch: str, place: Place, *, timeout: float = 1800.0) -> Grade:
    """What the tests say of `patch`. `timeout` is for the tests, in seconds. Never raises for what a patch does;
    EnvironmentFailed when there is no sandbox to say."""
    if not patch.strip():
        return Grade(status=Status.EMPTY_PATCH, detail="nothing was changed")
    began = time.monotonic()
    async with place.sandbox() as sandbox:
        try:
            return await _graded(instance, patch, place, sandbox, timeout, began)
        except SandboxError as error:
            raise EnvironmentFailed(f"the sandbox failed: {error}", hint=error.hint) from error


async def _graded(
    instance: Instance, patch: str, place: Place, sandbox: Sandbox, timeout: float, began: float
) -> Grade:
    if why := await _apply(sandbox, patch):
        return Grade(status=Status.PATCH_FAILED, detail=why)
    await asyncio.to_thread(_restore, sandbox, instance.test_patch)
    if why := await _apply(sandbox, instance.test_patch) if instance.test_patch.strip() else "":
        raise EnvironmentFailed(f"{instance.id}: the test patch does not apply: {why}")
    setup = time.monotonic() - began
    run = await run_command_tests(sandbox, place.test_command, timeout=timeout)
    if run.timed_out:
        return Grade(
            status=Status.TESTS_TIMED_OUT,
            applied=True,
            detail=run.trouble,
            seconds=run.seconds,
            setup_seconds=setup,
        )
    tests = judge(instance, _outcomes(run))
    resolved = tests.resolved and not run.trouble
    return Grade(
        status=Status.RESOLVED if resolved else Status.UNRESOLVED,
        tests=tests,
        applied=True,
        detail=run.trouble
        or ("" if resolved else _named(tests.fail_to_pass_failure + tests.pass_to_pass_failure)),
        seconds=round(run.seconds, 3),
        setup_seconds=round(setup, 3),
    )


def _outcomes(run: TestRun) -> dict[str, str]:
    """By the report; where there is none, by what was printed."""
    if run.report is None:
        return read(run.output)
    return {case.id: XFAIL if case.expected else _OUTCOMES[case.outcome] for case in run.report.cases}


async def _apply(sandbox: Sandbox, patch: str) -> str:
    """Apply inside, whole; why not, or nothing. Between two tries the tree is as before."""
    before = await asyncio.to_thread(sandbox.workspace.snapshot)
    said = ""
    for command in _LADDER:
        result = await sandbox.run(
            command, timeout=APPLY_SECONDS, stdin=patch.encode("utf-8", "surrogateescape")
        )
        if result.ok:
            return ""
        said = said or result.text()[-1000:].strip()
        await asyncio.to_thread(sandbox.workspace.restore, before)
    return said or "it could not be applied"


def _restore(sandbox: Sandbox, test_patch: str) -> None:
    """Put the files that the tests' own patch touches back to the base, whatever the model did to them."""
    workspace = sandbox.workspace
    base = workspace.tree_files(workspace.base)
    for path in touched(test_patch):
        if path in base:
            workspace.write(path, workspace.shadow.blob(base[path].id))
        else:
            try:
                workspace.remove(path)
            except (FileNotFoundError, FileRefused):
                continue


def touched(patch: str) -> tuple[str, ...]:
    """The files that a patch names."""
    names: dict[str, None] = {}
    for line in patch.splitlines():
        if line.startswith(("--- ", "+++ ")) and not line.startswith(("--- /dev/null", "+++ /dev/null")):
            names[line[4:].split("\t")[0].split("/", 1)[-1]] = None
    return tuple(names)


def _named(tests: tuple[str, ...]) -> str:
    more = f" and {len(tests) - 3} more" if len(tests) > 3 else ""
    return f"did not pass: {', '.join(tests[:3])}{more}"
