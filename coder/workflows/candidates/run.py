"""Candidates side by side: begun so that they share the server's cache, ended early when enough agree, one chosen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

from coder import events
from coder.agent.limits import Limits
from coder.errors import CoderError
from coder.events import Emit, within
from coder.review_events import CandidateChosen, CandidateStarted
from coder.workflows.candidates.candidate import Candidate
from coder.workflows.candidates.choice import Ballot, Row
from coder.workflows.candidates.pairwise import preferred
from coder.workflows.house import Engineer

HEAD_START = 20.0
"""Seconds, at most, that the first has before the others begin; else until its first answer begins, since then the
server has read the prompt that all share."""
Make = Callable[[int, Emit], Awaitable[Candidate]]
_ANSWERS = events.TextDelta | events.ThinkingDelta | events.AssistantMessage


class Candidates:
    """`count` candidates, made by `make` from their number and their emitter. A context: at its end every copy and sandbox is gone."""

    def __init__(self, count: int, make: Make, *, task: str, limits: Limits, emit: Emit) -> None:
        self._count = count
        self._make = make
        self._task = task
        self._limits = limits
        self._emit = emit
        self._all: list[Candidate] = []
        self._tried: dict[tuple[int, int], bool] = {}
        """Whether a candidate's tests pass with another's change: writer and other by number."""
        self._read = asyncio.Event()
        """Whether the server has read a prompt to its end: an answer has begun."""
        self.why = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for candidate in self._all:
            self._limits.add(candidate.limits.spent)
            await candidate.close()

    async def chosen(self, engineer: Engineer) -> Candidate | None:
        """Let all work; the one that counts, None when none passed every gate. Raises CoderError when none could work."""
        await self._worked(engineer)
        passed = [each for each in self._all if each.outcome == "passed"]
        ballot = Ballot([each.entry() for each in passed], in_order=engineer.strategy == "repair")
        if len(passed) > 1:
            ballot.matrix = await self._matrix(passed)
            # a model too small to drive tools is no judge of changes either
            if len(leaders := ballot.leaders()) > 1 and not ballot.in_order:
                with contextlib.suppress(CoderError):  # without a preference the smallest counts
                    ballot.wins = await preferred(
                        engineer.model, engineer.levels.routine, self._limits, self._emit, self._task, leaders
                    )
        for each in self._all:
            await self._emit(each.finished(ballot.votes(each.index), ballot.of(each.index)))
        if not passed:
            return None
        entry, self.why = ballot.choose()
        winner = next(each for each in passed if each.index == entry.index)
        await self._emit(CandidateChosen(index=winner.index, name=winner.name, why=self.why))
        return winner

    def best_failure(self) -> Candidate | None:
        """Of candidates that all failed the one to show: one with a change, the smallest."""
        changed = [each for each in self._all if each.patch]
        return min(changed, key=lambda each: each.added + each.removed, default=None)

    def as_dicts(self) -> list[dict[str, Any]]:
        """For the evidence."""
        return [
            {
                "name": each.name,
                "outcome": each.outcome,
                "reason": each.reason,
                "lines": each.added + each.removed,
            }
            for each in self._all
        ]

    async def _worked(self, engineer: Engineer) -> None:
        for index in range(1, self._count + 1):
            candidate = await self._make(index, self._heard(within(self._emit, f"candidate-{index}")))
            self._all.append(candidate)
        first, *others = self._all
        tasks = [asyncio.create_task(self._one(first, engineer))]
        reading = asyncio.create_task(self._read.wait())
        try:
            if others:
                await asyncio.wait({*tasks, reading}, timeout=HEAD_START, return_when=asyncio.FIRST_COMPLETED)
            tasks += [asyncio.create_task(self._one(each, engineer)) for each in others]
            await self._until_enough_agree(tasks)
        finally:
            for task in (reading, *tasks):
                task.cancel()
            await asyncio.gather(reading, *tasks, return_exceptions=True)
        if all(each.outcome == "error" for each in self._all):
            raise CoderError(f"no candidate could work: {self._all[0].reason}")

    def _heard(self, emit: Emit) -> Emit:
        async def emit_and_listen(event: events.Event) -> None:
            if isinstance(event, _ANSWERS):
                self._read.set()
            await emit(event)

        return emit_and_listen

    async def _one(self, candidate: Candidate, engineer: Engineer) -> None:
        await self._emit(CandidateStarted(index=candidate.index, of=self._count, name=candidate.name))
        await candidate.work(engineer)

    async def _until_enough_agree(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for all; or until half of them, and two at least, passed every gate and each other's tests."""
        waiting = set(tasks)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            passed = [each for each in self._all if each.outcome == "passed"]
            if not waiting or len(passed) < max(2, -(-self._count // 2)):
                continue
            ballot = Ballot([each.entry() for each in passed], await self._matrix(passed))
            if all(ballot.share(each.index) == 1.0 for each in passed):
                await self._emit(events.Note(text=f"{len(passed)} candidates agree: the others are stopped"))
                return

    async def _matrix(self, passed: Sequence[Candidate]) -> dict[int, Row]:
        """Each candidate's own tests on each other's change, in clean sandboxes."""
        matrix: dict[int, Row] = {}
        for writer in passed:
            if writer.tests:
                row = matrix[writer.index] = {writer.index: True}
                for other in passed:
                    if other is not writer:
                        row[other.index] = await self._passes(writer, other)
        return matrix

    async def _passes(self, writer: Candidate, other: Candidate) -> bool:
        """Tried once: neither the tests nor the change of one that passed its gates alters any more."""
        pair = writer.index, other.index
        if pair not in self._tried:
            self._tried[pair] = await other.judge.passes_with(other.tree, writer.tests)
        return self._tried[pair]
