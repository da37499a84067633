"""Whether the tests that prove a change run the lines that it changed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import groupby

from coder.workflows.evidence import Gate, not_applicable
from coder.workflows.gates.source import ChangedFile
from coder.workflows.gates.tests import some
from coder.workflows.targets import is_test
from sandbox.base import Sandbox

NAME = "covered"
MAX_TESTS = 200
_MAX_ANSWER = 1_000_000


@dataclass(frozen=True, slots=True)
class Lines:
    """Of the changed lines of one file, those that can run and those that did."""

    can_run: frozenset[int]
    ran: frozenset[int]


async def covered(
    sandbox: Sandbox, files: Sequence[ChangedFile], tests: Sequence[str], *, python: str, timeout: float
) -> Gate:
    """Run `tests` (pytest node ids) once more and see which changed lines of Python they reach. `timeout` in seconds."""
    wanted = changed_lines(files)
    if not wanted:
        return not_applicable(NAME, "no line of Python was changed")
    if not tests:
        return not_applicable(NAME, "no test was seen to fail before")
    return judged(await lines_run(sandbox, wanted, tests[:MAX_TESTS], python=python, timeout=timeout))


async def lines_run(
    sandbox: Sandbox,
    wanted: Mapping[str, Sequence[int]],
    tests: Sequence[str],
    *,
    python: str,
    timeout: float,
) -> dict[str, Lines]:
    """Which of the `wanted` lines of each file `tests` run; nothing where that could not be seen."""
    plugin = resources.files("coder.workflows.gates").joinpath("coverage_plugin.py").read_bytes()
    result = await sandbox.run(_script(python, tests, wanted), timeout=timeout, stdin=plugin)
    return read_lines(result.text())


def changed_lines(files: Sequence[ChangedFile]) -> dict[str, list[int]]:
    """The new lines of each Python file that is no test, and the line that stands where others are gone."""
    found = {
        file.path: [number for number, line in _touched(file) if line.strip()]
        for file in files
        if file.path.endswith(".py") and not is_test(file.path)
    }
    return {path: lines for path, lines in found.items() if lines}


def _touched(file: ChangedFile) -> Iterator[tuple[int, str]]:
    lines = (file.new or b"").decode("utf-8", "replace").splitlines()
    for hunk in file.hunks():
        yield from enumerate(hunk.new or lines[hunk.start - 1 : hunk.start], hunk.start)


def judged(found: Mapping[str, Lines]) -> Gate:
    """Passed when any changed line was run; what was not run is named."""
    total = sum(len(lines.can_run) for lines in found.values())
    if not found:
        return not_applicable(NAME, "which lines the tests run could not be seen")
    if not total:
        return not_applicable(NAME, "no line that can run was changed")
    missed = {path: sorted(lines.can_run - lines.ran) for path, lines in found.items()}
    count = total - sum(map(len, missed.values()))
    detail = f"{count} of {total} changed lines are run by the tests that failed before"
    if left := [f"{path}:{ranges(lines)}" for path, lines in missed.items() if lines]:
        detail += f"; not run: {some(left)}"
    return Gate(NAME, count > 0, detail)


def read_lines(text: str) -> dict[str, Lines]:
    """The plugin's answer; what is none gives nothing. The text comes out of the sandbox and may be anything."""
    try:
        rows = json.loads(text[-_MAX_ANSWER:])
        return {str(path): Lines(_numbers(can_run), _numbers(ran)) for path, (can_run, ran) in rows.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def ranges(lines: Sequence[int]) -> str:
    """Sorted numbers in short: 3-5,9."""
    runs = [
        [line for _, line in group] for _, group in groupby(enumerate(lines), lambda pair: pair[1] - pair[0])
    ]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _numbers(value: object) -> frozenset[int]:
    if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
        raise TypeError("not a list of numbers")
    return frozenset(value)


def _script(python: str, tests: Sequence[str], wanted: Mapping[str, Sequence[int]]) -> str:
    """The plugin's source is its standard input; it leaves nothing behind and prints nothing but the answer."""
    return (
        'd=$(mktemp -d) && cat > "$d/coder_coverage_plugin.py" && '
        f'printf %s {shlex.quote(json.dumps(wanted))} > "$d/lines" && '
        'CODER_LINES="$d/lines" PYTHONPATH="$d${PYTHONPATH:+:$PYTHONPATH}" '
        f"{shlex.quote(python)} -B -m pytest -q -p no:cacheprovider -p coder_coverage_plugin {shlex.join(tests)} "
        '>/dev/null 2>&1 </dev/null; cat "$d/lines.out"; rm -rf "$d"'
    )
