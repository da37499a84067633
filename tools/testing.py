"""Run a repository's tests in a sandbox and come back with a report, for the tool and for the workflows alike."""

from __future__ import annotations

import contextlib
import posixpath
import secrets
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sandbox.base import Result, Sandbox
from sandbox.errors import FileRefused
from sandbox.hostfiles import TEMPORARY_PREFIX
from tools.base import TestCounts
from tools.junit import MAX_BYTES, ReportRefused, TestReport, parse
from tools.text import of_result

_SHELL_SIGNS = frozenset("|&;<>()$`\n")
# a file that cannot be imported is an error of its own; without that word no test of any other file would run
_OPTIONS = "-q --tb=short --color=no --continue-on-collection-errors -o junit_family=xunit1"
_UNRECOGNIZED = "unrecognized arguments"
# pytest's exit statuses: 0 passed, 1 some failed, 2 interrupted, 3 internal error, 4 usage error, 5 no tests
_INTERNAL, _USAGE, _NO_TESTS = 3, 4, 5
_NOT_FOUND = 127


@dataclass(frozen=True, slots=True)
class _Attempt:
    options: tuple[str, ...]
    note: str = ""


_ATTEMPTS = (
    _Attempt(("-p", "no:cacheprovider")),
    # options like --lf in the repository's configuration need the plugin
    _Attempt(("-o", "cache_dir=/tmp/pytest-cache")),
    # options of a plugin that is not installed here, --cov above all
    _Attempt(("-p", "no:cacheprovider", "-o", "addopts="), "the repository's addopts were left out"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRun:
    """One run of tests. `report` is None where there was none that could be believed; then only `exit` speaks."""

    __test__: ClassVar[bool] = False

    report: TestReport | None
    exit: int | None
    seconds: float
    output: str
    """What was printed, cut in the middle."""
    timed_out: bool = False
    trouble: str = ""
    """Why this run proves nothing (timed out, no report, report and exit status disagree …); empty when it does."""
    note: str = ""
    """What had to be changed to run them at all."""

    @property
    def ok(self) -> bool:
        """Everything that ran passed, and something ran."""
        if self.trouble or self.exit != 0:
            return False
        return self.report is None or self.report.counts.ok

    @property
    def counts(self) -> TestCounts | None:
        return self.report.counts if self.report else None


async def run_pytest(
    sandbox: Sandbox,
    targets: Sequence[str] = (),
    *,
    python: str = "python3",
    command: str = "",
    timeout: float,
    extra: Sequence[str] = (),
    on_output: Callable[[bytes], None] | None = None,
) -> TestRun:
    """Run pytest on `targets` (node ids, files, directories; none: whatever the repository configures).

    `command` is a shell command that starts pytest and takes further arguments; it replaces `python -m pytest`.
    `timeout` is in seconds. The report is written into the workspace under a name that snapshots pass over:
    /tmp is not shared with the host, and what is printed is not to be trusted. Tests could forge that file
    too, so it counts only where it agrees with the exit status.
    """
    runner = command or f"{shlex.quote(python)} -m pytest"
    for attempt in _ATTEMPTS:
        with _report_file(sandbox) as name:
            arguments = shlex.join([*attempt.options, *extra, *targets])
            script = f'{runner} {_OPTIONS} --junitxml="$PWD/{name}" {arguments}'
            result = await sandbox.run(script, timeout=timeout, on_output=on_output)
            run = _judge(sandbox, result, name, targets, attempt.note)
        if run.exit != _USAGE or _UNRECOGNIZED not in run.output:
            break
    return run


async def run_command_tests(
    sandbox: Sandbox, command: str, *, timeout: float, on_output: Callable[[bytes], None] | None = None
) -> TestRun:
    """Run any test command. Its exit status decides; where pytest runs beneath it, or where the command itself writes
    JUnit XML to $CODER_JUNIT, there is a report as well."""
    with _report_file(sandbox) as name:
        options = f"-p no:cacheprovider -o junit_family=xunit1 --junitxml='$PWD/{name}'"
        script = f'export PYTEST_ADDOPTS="{options}" CODER_JUNIT="$PWD/{name}"\n{command}'
        result = await sandbox.run(script, timeout=timeout, on_output=on_output)
        found = _read(sandbox, name, ())
    agrees = isinstance(found, TestReport) and (result.exit == 0) == found.counts.ok
    return TestRun(
        report=found if isinstance(found, TestReport) and agrees else None,
        exit=result.exit,
        seconds=result.seconds,
        output=of_result(result)[0],
        timed_out=result.timed_out,
        trouble=_accident(result),
    )


def pytest_command(command: str) -> tuple[str, list[str]] | None:
    """Split a command that is one plain call of pytest into what starts it and its further arguments."""
    if _SHELL_SIGNS & set(command):
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    at = next(
        (index for index, word in enumerate(words) if posixpath.basename(word) in ("pytest", "py.test")), None
    )
    if at is None:
        return None
    assignments = [word for word in words[:at] if _is_assignment(word)]
    program = [word for word in words[: at + 1] if not _is_assignment(word)]
    values = [
        f"{name}={shlex.quote(value)}" for name, _, value in (word.partition("=") for word in assignments)
    ]
    return " ".join([*values, shlex.join(program)]), words[at + 1 :]


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()


@contextlib.contextmanager
def _report_file(sandbox: Sandbox) -> Iterator[str]:
    name = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.xml"
    try:
        yield name
    finally:
        with contextlib.suppress(FileRefused, OSError):
            sandbox.workspace.remove(name)


def _judge(sandbox: Sandbox, result: Result, name: str, targets: Sequence[str], note: str) -> TestRun:
    """Put the report and the exit status together; where they do not fit, say so and drop the report."""
    output = of_result(result)[0]
    trouble = _accident(result)
    report = None if trouble else _read(sandbox, name, targets)
    if isinstance(report, str):
        trouble = _without_report(result, report, output)
    elif report is not None:
        trouble = _breakdown(result, report, output) or _disagreement(result.exit, report.counts)
    return TestRun(
        report=report if isinstance(report, TestReport) and not trouble else None,
        exit=result.exit,
        seconds=result.seconds,
        output=output,
        timed_out=result.timed_out,
        trouble=trouble,
        note=note,
    )


def _accident(result: Result) -> str:
    if result.timed_out:
        return f"the tests were killed after {result.seconds:.0f} s"
    if result.oom:
        return "the tests ran out of memory"
    if result.killed:
        return f"the tests were killed ({result.killed})"
    return "the sandbox was lost" if result.exit is None else ""


def _without_report(result: Result, reason: str, output: str) -> str:
    if any(line.endswith("No module named pytest") for line in output.split("\n")):
        return "pytest is not installed in the sandbox"
    if result.exit == _NOT_FOUND:
        return "the test command was not found in the sandbox"
    if result.exit == _USAGE:
        return "pytest did not start (a wrong target, option or configuration)"
    return f"pytest ended with exit status {result.exit} and {reason}"


def _breakdown(result: Result, report: TestReport, output: str) -> str:
    """pytest's own end, whatever the report then counts (_pytest/junitxml.py, `pytest_internalerror`)."""
    if result.exit != _INTERNAL and not any(case.id == "pytest::internal" for case in report.cases):
        return ""
    said = [
        line.removeprefix("INTERNALERROR> ")
        for line in output.split("\n")
        if line.startswith("INTERNALERROR> ")
    ]
    return f"pytest broke down: {said[-1]}" if said else "pytest broke down"


def _disagreement(status: int | None, counts: TestCounts) -> str:
    bad = counts.failed + counts.errors
    if status == _NO_TESTS or (status == 0 and not bad and not counts.passed + counts.skipped):
        return "no tests were collected"
    if (status == 0 and not bad) or (status in (1, 2) and bad):
        return ""
    return f"exit status {status} and the report ({counts}) do not agree"


def _read(sandbox: Sandbox, name: str, targets: Sequence[str]) -> TestReport | str:
    """The report, or why there is none."""
    workspace = sandbox.workspace

    def exists(path: str) -> bool:
        try:
            return workspace.kind(path) in ("file", "symlink")
        except (FileRefused, OSError):
            return False

    try:
        return parse(workspace.read(name, limit=MAX_BYTES), exists, _roots(targets))
    except FileNotFoundError:
        return "no report"
    except (FileRefused, OSError) as error:
        return f"a report that cannot be read ({error})"
    except ReportRefused as error:
        return f"a report that cannot be used ({error})"


def _roots(targets: Sequence[str]) -> list[str]:
    """The workspace, then every directory above a target: where pytest may see its root directory."""
    roots = [""]
    for target in targets:
        parts = target.partition("::")[0].split("/")
        roots += ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return list(dict.fromkeys(roots))
