"""The repository's tests for the model: failures before passes, tracebacks cut, counts last."""

from __future__ import annotations

import shlex

from sandbox.text import clean_text
from tools.base import Arguments, Context, ToolResult, describe, parameters
from tools.files import inside, similar
from tools.junit import TestCase
from tools.testing import TestRun, pytest_command, run_command_tests, run_pytest
from tools.text import clean, cut

_CHARACTERS = 6_000
_DETAILED = 8
_LISTED = 25
_EVERYTHING = ("all", "*", ".", "./", "/workspace")


class RunTests:
    name = "run_tests"
    parameters = parameters(target={"type": "string"})

    @property
    def description(self) -> str:
        return describe("run_tests")

    async def run(self, args: Arguments, context: Context) -> ToolResult:
        split = pytest_command(context.test_command or f"{context.python} -m pytest")
        target = args.get("target", "").strip()
        target = "" if target in _EVERYTHING else target
        if split is None:
            run = await run_command_tests(
                context.sandbox,
                context.test_command,
                timeout=context.command_timeout,
                on_output=context.on_output,
            )
            note = "[this repository's test command takes no target; everything ran]" if target else ""
            return _finish(run, context, note)
        command, configured = split
        targets, options = _split_target(context, target)
        for path in targets:
            file = path.partition("::")[0]
            if context.sandbox.workspace.kind(file) is None:
                return ToolResult(f"{file} does not exist.{await similar(context, file)}", ok=False)
        kept = [word for word in configured if not targets or not _is_path(context, word)]
        run = await run_pytest(
            context.sandbox,
            targets,
            command=command,
            timeout=context.command_timeout,
            extra=[*kept, *options],
            on_output=context.on_output,
        )
        return _finish(run, context, "")


def summarize(run: TestRun) -> str:
    """A run in at most about 6,000 characters: what failed and how, then the counts."""
    if run.report is None:
        verdict = run.trouble or f"exit status {run.exit}"
        return f"{cut(run.output.strip(), head=1_000, tail=_CHARACTERS - 1_500)}\n{verdict} in {run.seconds:.1f} s".strip()
    bad = [case for case in run.report.cases if case.outcome in ("failed", "error")]
    parts = _failures(bad)
    parts.append(f"{run.report.counts} in {run.seconds:.1f} s")
    return "\n".join(parts)


def _failures(bad: list[TestCase]) -> list[str]:
    share = (_CHARACTERS - 1_800) // max(1, min(len(bad), _DETAILED))
    parts = [f"{_head(case)}\n{_tail(case, share)}" for case in bad[:_DETAILED]]
    parts += [_head(case) for case in bad[_DETAILED:_LISTED]]
    if len(bad) > _LISTED:
        parts.append(f"… {len(bad) - _LISTED} more")
    return parts


def _head(case: TestCase) -> str:
    word = "FAILED" if case.outcome == "failed" else "ERROR"
    return f"{word} {clean_text(case.id)[:300]}"


def _tail(case: TestCase, share: int) -> str:
    """The end of the traceback, where the failing line and the reason stand."""
    text = clean(case.detail or case.message).strip("\n")
    return cut(text, head=share // 4, tail=share - share // 4)


def _finish(run: TestRun, context: Context, note: str) -> ToolResult:
    if not run.trouble and run.exit is not None:
        context.note_check(run.counts)
    notes = [note, f"[{run.note}]" if run.note else ""]
    text = "\n".join(part for part in (summarize(run), *notes) if part)
    return ToolResult(text, ok=run.ok, exit=run.exit, tests=run.counts)


def _split_target(context: Context, target: str) -> tuple[list[str], list[str]]:
    """Targets and options out of what the model wrote: node ids, several paths, `-k name`."""
    if not target:
        return [], []
    if target.startswith("-"):
        try:
            return [], shlex.split(target)
        except ValueError:
            return [], target.split()
    words = [target] if "[" in target or _is_path(context, target) else target.split()
    return [_relative(context, word) for word in words], []


def _relative(context: Context, target: str) -> str:
    path, separator, rest = target.partition("::")
    return inside(context, path) + separator + rest


def _is_path(context: Context, word: str) -> bool:
    if word.startswith("-"):
        return False
    path = word.partition("::")[0].rstrip("/")
    return (
        not path.startswith("/")
        and ".." not in path
        and context.sandbox.workspace.kind(path or ".") is not None
    )
