"""Guided repair: our code finds, asks, splices and tests; the model only writes one function at a time.

For models too small to drive tools: localise -> prompt -> sample -> splice -> test -> again.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from typing import Protocol

from coder.workflows.definitions import Definition, FunctionNode
from coder.workflows.localise import Suspect, is_test_file, localise
from coder.workflows.repair_prompt import (
    AGAIN,
    GO_ON,
    Case,
    View,
    holes,
    prompt,
    report,
    rewrites,
    without_marks,
)
from coder.workflows.share import WARM, WHOLE, Share
from coder.workflows.splice import Refusal, Splice, answer_is_complete, code_of, cut_after, splice
from coder.workflows.suspicion import calls_of, rank
from coder.workflows.trace import read_trace

DEFAULT_ATTEMPTS = 24
# Attempts spent on a partly repaired repository before going back to the state before it.
ATTEMPTS_AFTER_PROGRESS = 8
MAX_POINTED = 5
# Longer functions are not written anew as a whole, in lines.
MAX_REWRITTEN = 40
MAX_ANSWER = 1024
MAX_TRACED = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """What is to be repaired: the failing tests' node ids and pytest's output, without colours."""

    tests: tuple[str, ...]
    output: str


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """One test run. `passed` is true only when every target ran and passed; `failed` has node ids."""

    __test__ = False

    passed: bool
    failed: tuple[str, ...] = ()
    output: str = ""
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class RepairOutcome:
    """`changed` maps each changed path to the definitions that changed in it.

    When not `solved`, the files hold the best partial repair there was (fewer failing tests), else the original.
    """

    solved: bool
    attempts: int
    changed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    explanation: str = ""


class Bench(Protocol):
    """What repair needs from its surroundings: files, tests, one completion at a time, a place for notes."""

    def files(self) -> list[str]:
        """Paths of the workspace's files, relative, with forward slashes."""

    def read(self, path: str) -> bytes: ...

    def write(self, path: str, data: bytes) -> None: ...

    async def test(self, targets: Sequence[str]) -> TestOutcome: ...

    async def trace(self, targets: Sequence[str]) -> str:
        """What `trace.trace_command` prints in the sandbox; empty where that is not possible. Worth having, not needed."""

    async def ask(
        self,
        messages: list[dict[str, str]],
        *,
        temperature: float,
        max_tokens: int,
        seed: int | None,
        done: Callable[[str], bool],
    ) -> str:
        """One completion. `done(text so far)` says when the stream may be stopped early. Raises at a cap (LimitReached)."""

    async def note(self, text: str) -> None: ...

    def remaining(self) -> bool:
        """Whether the caps leave room for another attempt."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sample to take."""

    view: View
    temperature: float = 0.0


def plan(suspects: Sequence[Suspect]) -> Iterator[Attempt]:
    """The order in which views and temperatures are tried, without end.

    Greedy first: the model's own choice, then the bodies of the most suspected functions written anew. After that
    each round hides one statement of each of them, and samples the earlier views again, warmer.
    """
    functions = [s.definition for s in suspects if s.definition.kind in {"function", "method"}][:MAX_POINTED]
    data = [s.definition for s in suspects if s.definition.kind in {"constant", "class"}][:MAX_POINTED]
    bodies = [rewrites(function) for function in functions if function.end - function.start <= MAX_REWRITTEN]
    gaps = [holes(function) for function in functions]
    yield Attempt(View())
    yield from (Attempt(view) for view in bodies[:2])
    yield Attempt(View(), WARM)
    yield from (Attempt(view) for view in bodies[2:3])
    yield from (Attempt(View(definition)) for definition in data[:2])
    for number in count():
        yield from (Attempt(views[number]) for views in gaps if number < len(views))
        for index in (2 * number, 2 * number + 1):
            yield from [Attempt(bodies[index % len(bodies)], WARM if index >= 3 else 0.4)] if bodies else []
        yield Attempt(View(data[number % len(data)]) if data and number % 2 else View(), WARM)


@dataclass(slots=True)
class _Base:
    """A state of the files to sample from: the original, or a partial repair of it."""

    failure: Failure
    case: Case
    attempts: Iterator[Attempt]
    contents: dict[str, bytes]
    changed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    explanation: str = ""
    tried: set[bytes] = field(default_factory=set)
    voted: list[Definition] = field(default_factory=list)
    rewritten: set[Definition] = field(default_factory=set)

    def next_attempt(self) -> Attempt | None:
        """What the model itself pointed at is written anew first; then the plan goes on."""
        for definition in self.voted:
            if definition not in self.rewritten:
                self.rewritten.add(definition)
                return Attempt(rewrites(definition))
        for attempt in self.attempts:
            greedy_body = attempt.view.whole_body and not attempt.temperature
            if not (greedy_body and attempt.view.suspect in self.rewritten):
                self.rewritten |= {attempt.view.suspect} if greedy_body and attempt.view.suspect else set()
                return attempt
        return None


async def repair(
    bench: Bench,
    failure: Failure,
    *,
    task: str = "",
    attempts: int = DEFAULT_ATTEMPTS,
    regression: Sequence[str] = (),
    share: Share = WHOLE,
) -> RepairOutcome:
    """Sample corrected functions until `failure.tests` pass and the `regression` targets still do.

    `task` is what the user wrote; it goes into the prompt. At most `attempts` completions are asked for. Test files
    are never written. Of several repairs of the same failure each takes its `share` of the plan. Unless solved, the files are left with the best partial repair, or as they were. Raises what
    the bench raises, after the same clean-up.
    """
    search = _Search(bench, task, tuple(regression), share)
    best = await search.run(failure, attempts)
    return RepairOutcome(search.solved, search.count, best.changed, best.explanation)


class _Search:
    """Sampling from the newest base; back to the one before it when that leads nowhere."""

    def __init__(self, bench: Bench, task: str, regression: tuple[str, ...], share: Share) -> None:
        self.bench = bench
        self.task = task
        self.regression = regression
        self.share = share
        self.originals: dict[str, bytes] = {}
        self.count = 0
        self.solved = False

    async def run(self, failure: Failure, attempts: int) -> _Base:
        """The best state reached; the files are in it, whatever happens."""
        best = await self._base(failure)
        try:
            async for better in self._improved(best, attempts):
                best = better
        finally:
            self.write(best)
        return best

    async def _improved(self, base: _Base, attempts: int) -> AsyncIterator[_Base]:
        stack = [base]
        while stack and self.count < attempts and self.bench.remaining():
            attempt = stack[-1].next_attempt()
            if attempt is None:
                stack.pop()
                if stack:
                    self.write(stack[-1])
                continue
            better = await self._attempt(stack[-1], attempt)
            if better:
                yield better
                stack.append(better)
            if self.solved:
                return

    def write(self, base: _Base) -> None:
        """Bring the files into the state of `base`."""
        for path, data in (self.originals | base.contents).items():
            self.bench.write(path, data)

    async def _base(self, failure: Failure, contents: dict[str, bytes] | None = None) -> _Base:
        """Localise anew in the files as they are now."""
        scene = localise(self.bench.read, self.bench.files(), failure.tests, failure.output)
        targets = dict.fromkeys(test.partition("::")[0] for test in failure.tests[:MAX_TRACED])
        calls = read_trace(await self.bench.trace(list(targets)))
        suspects = rank(scene, calls, failure.tests)
        case = Case(scene, suspects, tuple(calls_of(calls, failure.tests)), failure.output, self.task)
        attempts = islice(plan(suspects), self.share.index, None, self.share.of)
        return _Base(
            failure, case, islice(attempts, ATTEMPTS_AFTER_PROGRESS) if contents else attempts, contents or {}
        )

    async def _attempt(self, base: _Base, attempt: Attempt) -> _Base | None:
        """Take one sample, and one more in the same conversation where the first calls for it.

        Gives the new base if a sample repaired something; `solved` is set if it repaired everything.
        """
        messages = [{"role": "user", "content": prompt(base.case, attempt.view)}]
        for turn in (1, 2):
            self.count += 1
            answer = await self.bench.ask(
                messages,
                temperature=attempt.temperature if turn == 1 else WARM,
                max_tokens=_max_tokens(base.case, attempt.view),
                seed=(self.count - 1) * self.share.of + self.share.index + 1,
                done=partial(_is_complete, attempt.view),
            )
            better, reply = await self._judge(base, attempt, without_marks(answer))
            if attempt.view.suspect is None:
                base.voted += _named(base.case, answer)
            if better or not reply or turn == 2 or not self.bench.remaining():
                return better
            messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": reply}]
        return None

    async def _judge(self, base: _Base, attempt: Attempt, answer: str) -> tuple[_Base | None, str]:
        """(the new base if the answer repaired something, what to reply to the model if that may help)."""
        view = attempt.view
        if view.hidden and view.suspect:
            answer = cut_after(answer, view.suspect.name) or answer
        only = view.suspect if view.hidden else None
        result = splice(answer, base.case.scene.modules, _order(base.case, view), only)
        if isinstance(result, Splice) and any(is_test_file(path) for path in result.files):
            result = Refusal("the answer changes a test file")
        if isinstance(result, Refusal):
            await self._say(f"{result.reason}: not tested")
            return None, "" if code_of(answer) else GO_ON
        digest = hashlib.sha256(b"".join(result.files.values())).digest()
        if digest in base.tried:
            await self._say("the same answer as before: not tested")
            return None, ""
        base.tried.add(digest)
        return await self._try(base, result, _sentence(answer))

    async def _try(self, base: _Base, change: Splice, sentence: str) -> tuple[_Base | None, str]:
        """Test a change; keep it as a new base or put the old files back."""
        where = ", ".join(change.changed)
        for path, data in change.files.items():
            self.originals.setdefault(path, self.bench.read(path))
            self.bench.write(path, data)
        outcome = await self.bench.test(base.failure.tests)
        left = tuple(test for test in base.failure.tests if test in outcome.failed)
        fewer = (
            not outcome.timed_out and 0 < len(left) < len(base.failure.tests) and {*left} == {*outcome.failed}
        )
        if (outcome.passed or fewer) and await self._others_pass():
            self.solved = outcome.passed
            await self._say(
                f"{where}: {'the tests pass' if outcome.passed else f'{len(left)} still failing'}"
            )
            return await self._kept(base, change, Failure(left, outcome.output), sentence), ""
        await self._say(f"{where}: {_verdict(outcome, fewer)}")
        self.write(base)
        new = _raised(outcome.output)
        differs = new and new != _raised(base.failure.output) and not outcome.passed
        return None, AGAIN.format(failure=report(outcome.output, 300)) if differs else ""

    async def _kept(self, base: _Base, change: Splice, failure: Failure, sentence: str) -> _Base:
        contents = base.contents | change.files
        better = (
            _Base(failure, base.case, iter(()), contents)
            if self.solved
            else await self._base(failure, contents)
        )
        better.changed = dict(base.changed)
        for path in change.files:
            own = {d.qualname for d in base.case.scene.modules[path].definitions}
            names = [name for name in change.changed if name in own]
            better.changed[path] = tuple(dict.fromkeys([*base.changed.get(path, ()), *names]))
        better.explanation = " ".join(filter(None, [base.explanation, sentence]))
        return better

    async def _others_pass(self) -> bool:
        return not self.regression or (await self.bench.test(self.regression)).passed

    async def _say(self, text: str) -> None:
        await self.bench.note(f"sample {self.count}: {text}")


def _verdict(outcome: TestOutcome, fewer: bool) -> str:
    if outcome.timed_out:
        return "the tests take too long"
    return "breaks other tests" if outcome.passed or fewer else "still failing"


def _raised(output: str) -> str:
    """The type of the exception that ended the first failing test, unless it is a failed assertion."""
    names = re.findall(r"^E\s+(\w*(?:Error|Exception))\b", report(output, 2000), re.MULTILINE)
    return names[-1] if names and names[-1] != "AssertionError" else ""


def _is_complete(view: View, text: str) -> bool:
    past = (
        view.hidden is not None
        and view.suspect is not None
        and cut_after(text, view.suspect.name) is not None
    )
    return past or answer_is_complete(text)


def _named(case: Case, answer: str) -> list[Definition]:
    """The suspected functions that an answer (re)wrote: where the model itself sees the mistake."""
    code = code_of(answer)
    names = (
        {node.name for node in ast.walk(ast.parse(code)) if isinstance(node, FunctionNode)} if code else set()
    )
    found = [s.definition for s in case.suspects if s.definition.name in names]
    return [d for d in found if isinstance(d.node, FunctionNode) and d.end - d.start <= MAX_REWRITTEN][:2]


def _order(case: Case, view: View) -> list[Definition]:
    ranked = [suspect.definition for suspect in case.suspects]
    return [view.suspect, *ranked] if view.suspect else ranked


def _max_tokens(case: Case, view: View) -> int:
    """Room for a sentence and for the longest function that may be meant, and half as much again."""
    meant = [view.suspect] if view.suspect else [s.definition for s in case.suspects]
    functions = [d for d in meant if d.kind != "class"] or meant
    longest = max((len(case.scene.modules[d.path].text(d)) for d in functions), default=0)
    return min(MAX_ANSWER, 250 + longest // 2)


def _sentence(answer: str) -> str:
    """The model's own explanation: the first line before the code."""
    lines = [line.strip() for line in answer.partition("```")[0].splitlines() if line.strip()]
    return lines[0][:300] if lines else ""
