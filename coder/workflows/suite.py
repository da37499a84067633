"""Running the tests in a sandbox, as evidence."""

from __future__ import annotations

from collections.abc import Sequence

from coder.config import Config
from coder.events import SuiteRan
from coder.workflows.evidence import Tests
from sandbox.base import Sandbox
from tools.testing import TestRun, run_command_tests, run_pytest


async def run_suite(sandbox: Sandbox, targets: Sequence[str], *, config: Config, python: str) -> Tests:
    """Run `targets` (pytest node ids; all tests when empty), or the configured test command whole."""
    if config.test:
        run = await run_command_tests(sandbox, config.test, timeout=config.test_timeout)
        return _from_report(run) if run.report else _from_status(run, config.test)
    run = await run_pytest(sandbox, targets, python=python, timeout=config.test_timeout)
    return _from_report(run)


def ran(stage: str, tests: Tests) -> SuiteRan:
    """What is told of a run; `stage` is before, attempt or after."""
    return SuiteRan(
        stage=stage,
        passed=len(tests.passed),
        failed=len(tests.failing),
        failing=tuple(sorted(tests.failing)[:20]),
        seconds=round(tests.seconds, 2),
    )


def _from_report(run: TestRun) -> Tests:
    report = run.report
    if report is None:
        return Tests(output=run.output, problem=run.trouble, seconds=run.seconds, timed_out=run.timed_out)
    return Tests(
        passed=report.passed,
        failing=report.failed | report.errors,
        skipped=report.skipped,
        seconds=run.seconds,
        output=run.output,
    )


def _from_status(run: TestRun, command: str) -> Tests:
    """All that is known of a test command without a report is its exit status: it is one test."""
    if run.trouble:
        return Tests(output=run.output, problem=run.trouble, seconds=run.seconds, timed_out=run.timed_out)
    whole = frozenset({command})
    if run.exit == 0:
        return Tests(passed=whole, output=run.output, seconds=run.seconds)
    return Tests(failing=whole, output=run.output, seconds=run.seconds)
