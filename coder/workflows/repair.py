"""Guided repair: our code finds, asks, splices and tests; the model only writes one function at a time.

For models too small to drive tools: localise -> prompt -> sample -> splice -> test -> again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from coder.workflows.definitions import Definition
from coder.workflows.localise import Scene, Suspect, is_test_file, localise
from coder.workflows.repair_prompt import question, shared_part
from coder.workflows.splice import Refusal, Splice, answer_is_complete, splice

DEFAULT_ATTEMPTS = 24
# Attempts spent on a partly repaired repository before going back to the state before it.
ATTEMPTS_AFTER_PROGRESS = 8
WARM = 0.8
MAX_POINTED = 3
MAX_ANSWER = 1024


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
    """One sample to take: the model chooses the function, or is pointed at `suspect`."""

    suspect: Definition | None
    temperature: float


def plan(suspects: Sequence[Suspect]) -> Iterator[Attempt]:
    """The order in which views and temperatures are tried, without end."""
    pointed = [s.definition for s in suspects if s.definition.kind != "class"][:MAX_POINTED]
    yield Attempt(None, 0.0)
    while True:
        yield Attempt(None, WARM)
        yield Attempt(None, WARM)
        for suspect in pointed:
            yield Attempt(suspect, WARM)


@dataclass(slots=True)
class _Base:
    """A state of the files to sample from: the original, or a partial repair of it."""

    failure: Failure
    scene: Scene
    prompt: str
    attempts: Iterator[Attempt]
    contents: dict[str, bytes]
    changed: dict[str, tuple[str, ...]]
    explanation: str
    tried: set[bytes] = field(default_factory=set)


async def repair(
    bench: Bench,
    failure: Failure,
    *,
    task: str = "",
    attempts: int = DEFAULT_ATTEMPTS,
    regression: Sequence[str] = (),
) -> RepairOutcome:
    """Sample corrected functions until `failure.tests` pass and the `regression` targets still do.

    `task` is what the user wrote; it goes into the prompt. At most `attempts` completions are asked for. Test files
    are never written. Unless solved, the files are left with the best partial repair, or as they were. Raises what
    the bench raises, after the same clean-up.
    """
    search = _Search(bench, task, tuple(regression))
    try:
        await search.run(failure, attempts)
    finally:
        search.write(search.best)
    return RepairOutcome(search.solved, search.count, search.best.changed, search.best.explanation)


class _Search:
    """Sampling from the newest base; back to the one before it when that leads nowhere."""

    def __init__(self, bench: Bench, task: str, regression: tuple[str, ...]) -> None:
        self.bench = bench
        self.task = task
        self.regression = regression
        self.originals: dict[str, bytes] = {}
        self.count = 0
        self.solved = False
        self.best: _Base

    async def run(self, failure: Failure, attempts: int) -> None:
        self.best = self._base(failure)
        stack = [self.best]
        while stack and self.count < attempts and self.bench.remaining():
            attempt = next(stack[-1].attempts, None)
            if attempt is None:
                self.write(stack.pop())
                continue
            self.count += 1
            better = await self._attempt(stack[-1], attempt)
            if better:
                self.best = better
                stack.append(better)
            if self.solved:
                return

    def write(self, base: _Base) -> None:
        """Bring the files into the state of `base`."""
        for path, data in (self.originals | base.contents).items():
            self.bench.write(path, data)

    def _base(
        self,
        failure: Failure,
        contents: dict[str, bytes] | None = None,
        changed: dict[str, tuple[str, ...]] | None = None,
        explanation: str = "",
    ) -> _Base:
        scene = localise(self.bench.read, self.bench.files(), failure.tests, failure.output)
        prompt = shared_part(scene, failure.output, self.task)
        attempts = plan(scene.suspects)
        if contents:
            attempts = islice(attempts, ATTEMPTS_AFTER_PROGRESS)
        return _Base(failure, scene, prompt, attempts, contents or {}, changed or {}, explanation)

    async def _attempt(self, base: _Base, attempt: Attempt) -> _Base | None:
        """Take one sample; the new base if it repaired something, with `solved` set if it repaired everything."""
        answer = await self.bench.ask(
            [{"role": "user", "content": f"{base.prompt}\n\n{question(attempt.suspect)}"}],
            temperature=attempt.temperature,
            max_tokens=_max_tokens(base.scene, attempt),
            seed=self.count,
            done=answer_is_complete,
        )
        result = splice(answer, base.scene.modules, _order(base.scene, attempt))
        if isinstance(result, Splice) and any(is_test_file(path) for path in result.files):
            result = Refusal("the answer changes a test file")
        if isinstance(result, Refusal):
            await self._say(f"{result.reason}: not tested")
            return None
        digest = hashlib.sha256(b"".join(result.files.values())).digest()
        if digest in base.tried:
            await self._say("the same answer as before: not tested")
            return None
        base.tried.add(digest)
        return await self._try(base, result, _sentence(answer))

    async def _try(self, base: _Base, splice_: Splice, sentence: str) -> _Base | None:
        """Test a splice; keep it as a new base or put the old files back."""
        where = ", ".join(splice_.changed)
        for path, data in splice_.files.items():
            self.originals.setdefault(path, self.bench.read(path))
            self.bench.write(path, data)
        outcome = await self.bench.test(base.failure.tests)
        left = set(outcome.failed)
        fewer = bool(left) and left < set(base.failure.tests) and not outcome.timed_out
        if (outcome.passed or fewer) and await self._others_pass():
            changed = dict(base.changed)
            for path in splice_.files:
                names = [name for name in splice_.changed if self._defines(base, path, name)]
                changed[path] = tuple(dict.fromkeys([*changed.get(path, ()), *names]))
            explanation = " ".join(filter(None, [base.explanation, sentence]))
            self.solved = outcome.passed
            await self._say(
                f"{where}: {'the tests pass' if outcome.passed else f'{len(left)} still failing'}"
            )
            tests = tuple(test for test in base.failure.tests if test in left)
            failure = Failure(tests, outcome.output)
            return self._base(failure, base.contents | splice_.files, changed, explanation)
        await self._say(f"{where}: {_verdict(outcome, fewer)}")
        self.write(base)
        return None

    @staticmethod
    def _defines(base: _Base, path: str, name: str) -> bool:
        return any(d.qualname == name for d in base.scene.modules[path].definitions)

    async def _others_pass(self) -> bool:
        return not self.regression or (await self.bench.test(self.regression)).passed

    async def _say(self, text: str) -> None:
        await self.bench.note(f"sample {self.count}: {text}")


def _verdict(outcome: TestOutcome, fewer: bool) -> str:
    if outcome.timed_out:
        return "the tests take too long"
    return "breaks other tests" if outcome.passed or fewer else "still failing"


def _order(scene: Scene, attempt: Attempt) -> list[Definition]:
    ranked = [suspect.definition for suspect in scene.suspects]
    return [attempt.suspect, *ranked] if attempt.suspect else ranked


def _max_tokens(scene: Scene, attempt: Attempt) -> int:
    """Room for the sentence and for the longest function that may be meant, half as long again."""
    meant = [attempt.suspect] if attempt.suspect else [s.definition for s in scene.suspects]
    functions = [d for d in meant if d.kind != "class"] or meant
    longest = max((len(scene.modules[d.path].text(d)) for d in functions), default=0)
    return min(MAX_ANSWER, 200 + longest // 2)


def _sentence(answer: str) -> str:
    """The model's own explanation: what stands before the code, its first line."""
    lines = [line.strip() for line in answer.partition("```")[0].splitlines() if line.strip()]
    return lines[0][:300] if lines else ""
