"""Guided repair over the real rooms: the sandbox tests, the model samples, the limits hold, the events tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from coder import events
from coder.agent.conversation import said, spent_of
from coder.agent.limits import Limits
from coder.agent.loop import Ending
from coder.config import Config
from coder.events import Emit, Spent
from coder.model.client import ModelClient
from coder.model.messages import Delta
from coder.model.roles import Levels
from coder.model.thinking import estimate_tokens
from coder.workflows.evidence import Tests
from coder.workflows.repair import Failure, TestOutcome, repair
from coder.workflows.share import Share
from coder.workflows.suite import run_suite
from coder.workflows.trace import MAX_TRACE, SECONDS, plugin_source, trace_command
from tools.base import Context


class _Enough(Exception):
    """The answer is complete; the rest of the stream is not worth its time."""


class WorkBench:
    """What `repair` needs, over one attempt's sandbox and model."""

    def __init__(
        self,
        *,
        context: Context,
        model: ModelClient,
        levels: Levels,
        config: Config,
        limits: Limits,
        emit: Emit,
    ) -> None:
        self._sandbox = context.sandbox
        self._workspace = context.sandbox.workspace
        self._python = context.python
        self._model = model
        self._levels = levels
        self._config = config
        self._limits = limits
        self._emit = emit

    def files(self) -> list[str]:
        return sorted(self._workspace.tree_files(self._workspace.base))

    def read(self, path: str) -> bytes:
        return self._workspace.read(path)

    def write(self, path: str, data: bytes) -> None:
        self._workspace.write(path, data)

    async def test(self, targets: Sequence[str]) -> TestOutcome:
        tests = await run_suite(self._sandbox, targets, config=self._config, python=self._python)
        await self._emit(
            events.SuiteRan(
                stage="attempt",
                passed=len(tests.passed),
                failed=len(tests.failing),
                failing=tuple(sorted(tests.failing)[:20]),
                seconds=round(tests.seconds, 2),
            )
        )
        return TestOutcome(
            passed=bool(tests.passed) and not tests.failing and not tests.problem,
            failed=tuple(sorted(tests.failing)),
            output=tests.output,
            timed_out=tests.timed_out,
        )

    async def trace(self, targets: Sequence[str]) -> str:
        """What the failing tests really called; empty for a test command of the user's own."""
        if self._config.test:
            return ""
        result = await self._sandbox.run(
            trace_command(self._python, targets),
            timeout=SECONDS + 10,
            stdin=plugin_source(),
            cap=2 * MAX_TRACE,
        )
        return (result.head + result.tail).decode("utf-8", "replace")

    async def ask(
        self,
        messages: list[dict[str, str]],
        *,
        temperature: float,
        max_tokens: int,
        seed: int | None,
        done: Callable[[str], bool],
    ) -> str:
        """One sample. It is cut as soon as `done` says that the answer is complete."""
        self._limits.check()
        await self._emit(events.TurnStarted(turn=self._limits.spent.turns + 1))
        sample = _Sample(done, self._emit)
        try:
            reply = await self._model.stream(
                messages,
                temperature=temperature,
                max_tokens=self._limits.completion_cap(max_tokens),
                seed=seed,
                thinking=self._levels.diagnosis,
                on_delta=sample.take,
                on_retry=self._retried,
            )
        except _Enough:
            spent = sample.estimate(messages)
            answer = events.AssistantMessage(
                text=sample.text, finish="enough", spent=spent, seconds=round(sample.seconds, 3)
            )
        else:
            spent = spent_of(reply)
            answer = said(reply, spent)
        self._limits.add(spent)
        await self._emit(answer)
        await self._emit(self._limits.event())
        return answer.text

    async def note(self, text: str) -> None:
        await self._emit(events.Note(text=text))

    def remaining(self) -> bool:
        """Always: the limits raise LimitReached by themselves when they are reached."""
        return True

    async def _retried(self, reason: str) -> None:
        await self._emit(events.Retried(reason=reason))


class _Sample:
    """A running answer, and when it is complete."""

    def __init__(self, done: Callable[[str], bool], emit: Emit) -> None:
        self.text = ""
        self._started = time.monotonic()
        self._done = done
        self._emit = emit

    async def take(self, delta: Delta) -> None:
        if delta.kind != "text":
            return
        self.text += delta.text
        await self._emit(events.TextDelta(text=delta.text))
        if self._done(self.text):
            raise _Enough

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def estimate(self, messages: list[dict[str, str]]) -> Spent:
        """A stream that we cut has no usage: its tokens are estimated from its text."""
        prompt = sum(len(message["content"]) for message in messages)
        return Spent(
            requests=1,
            prompt_tokens=estimate_tokens(prompt),
            completion_tokens=estimate_tokens(len(self.text)),
            turns=1,
        )


async def guided_repair(
    *,
    task: str,
    failing: Sequence[str],
    before: Tests,
    context: Context,
    model: ModelClient,
    levels: Levels,
    config: Config,
    limits: Limits,
    emit: Emit,
    share: Share,
) -> Ending:
    """Repair `failing`, which failed with `before`. Raises LimitReached and ModelError."""
    bench = WorkBench(context=context, model=model, levels=levels, config=config, limits=limits, emit=emit)
    failure = Failure(tuple(failing), before.output)
    outcome = await repair(bench, failure, task=task, regression=sorted(before.passed), share=share)
    if outcome.solved:
        return Ending("repaired", f"solved with {outcome.attempts} samples", outcome.explanation)
    return Ending("attempts_used_up", f"{outcome.attempts} samples did not repair it", outcome.explanation)
