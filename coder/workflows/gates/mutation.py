"""Whether new tests can fail: each must fail on source that was mutated for it."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import PurePosixPath

from coder.workflows.evidence import Gate, Tests, not_applicable
from coder.workflows.gates.coverage import Lines
from coder.workflows.gates.mutants import Mutant, chosen, mutants_of, wrecked
from coder.workflows.gates.tests import some
from coder.workflows.targets import is_test

NAME = "tests-can-fail"
MAX_MUTANTS = 30
MAX_SECONDS = 300.0
"""For all mutants together; the one that runs then is waited for."""
MAX_LINES = 8000
"""Of source that is mutated: the names of its lines must fit into one command."""

MIN_TIMEOUT = 20.0
"""Seconds that one run may take at the least; a mutant may run for ever."""

Seen = Callable[[Mapping[str, list[int]]], Awaitable[Mapping[str, Lines]]]
"""Runs the new tests and tells which of these lines of each file they reach."""
Trial = Callable[[Mapping[str, bytes], frozenset[str]], Awaitable[Tests]]
"""Runs the tests with these node ids, with these files laid over the change."""


def sources_for(tests: str, paths: Iterable[str], read: Callable[[str], bytes]) -> dict[str, bytes]:
    """What to mutate for tests with this source: the repository's Python, the modules that they mention first."""
    words = set(re.findall(r"\w+", tests))
    modules = [path for path in paths if path.endswith(".py") and not is_test(path)]
    found: dict[str, bytes] = {}
    lines = 0
    for path in sorted(modules, key=lambda path: (_module(path) not in words, path)):
        source = read(path)
        lines += source.count(b"\n")
        if found and lines > MAX_LINES:
            break
        found[path] = source
    return found


def timeout(seconds: float) -> float:
    """How long tests may run on a mutant, given what all tests took: in seconds."""
    return max(MIN_TIMEOUT, 3 * seconds)


async def tests_can_fail(
    new: frozenset[str], tests: str, sources: Mapping[str, bytes], seen: Seen, trial: Trial
) -> Gate:
    """Try the `new` tests (node ids, with the source `tests`) on mutated `sources` until each has failed once.

    Where not every mutant can be tried, or it cannot be seen what the tests run, it is enough that a test fails when
    all functions do nothing.
    """
    mutants = [each for path, source in sources.items() for each in mutants_of(path, source)]
    if not mutants:
        return not_applicable(NAME, "the repository has no function in Python to mutate")
    lines = await seen(_lines(mutants))
    ran = {path: each.ran for path, each in lines.items()}
    picked = chosen(mutants, tests, ran)
    left, tried = await _survivors(new, picked, sources, trial)
    if left and (len(tried) < len(picked) or not any(ran.values())):
        last = await trial(wrecked(mutants, sources), left)
        if last.problem or not left & (last.failing | last.passed | last.skipped):
            return not_applicable(NAME, f"what {some(sorted(left))} would notice could not be found out")
        left -= last.failing
        tried.append("every function does nothing, all at once")
    return _judged(new, left, tried)


async def _survivors(
    new: frozenset[str], picked: list[Mutant], sources: Mapping[str, bytes], trial: Trial
) -> tuple[frozenset[str], list[str]]:
    """The tests that no mutant made fail, and what was tried."""
    left, tried = new, list[str]()
    until = time.monotonic() + MAX_SECONDS
    for mutant in picked[:MAX_MUTANTS]:
        if not left or time.monotonic() > until:
            break
        left -= (await trial({mutant.path: mutant.apply(sources[mutant.path])}, left)).failing
        tried.append(str(mutant))
    return left, tried


def _judged(new: frozenset[str], left: frozenset[str], tried: list[str]) -> Gate:
    output = "Tried:\n" + "\n".join(tried)
    if not left:
        which = "the new test fails" if len(new) == 1 else f"each of {len(new)} new tests fails"
        return Gate(NAME, True, f"{which} when the code that it tests is broken", output)
    verb = "pass" if len(left) > 1 else "passes"
    return Gate(NAME, False, f"{some(sorted(left))} {verb} however the code is broken", output)


def _lines(mutants: Iterable[Mutant]) -> dict[str, list[int]]:
    found: dict[str, set[int]] = {}
    for each in mutants:
        found.setdefault(each.path, set()).add(each.line)
    return {path: sorted(lines) for path, lines in found.items()}


def _module(path: str) -> str:
    pure = PurePosixPath(path)
    return pure.parent.name if pure.stem == "__init__" else pure.stem
