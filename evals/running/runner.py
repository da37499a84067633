"""Many attempts side by side. Each result is on the disk before it counts; what is there is not done again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from coder.errors import CoderError, ModelUnavailable, UsageError
from evals import predictions
from evals.folder import RunFolder
from evals.instance import Instance
from evals.result import Result, Status
from evals.running.attempt import broken_off
from evals.running.workers import Workers

PATIENCE = 3
"""With so many attempts in a row more than there are workers that the server failed, no further one is begun."""
Report = Callable[[Result, int, int], None]
"""Told of each result: how many are done, of how many."""


class Executor(Protocol):
    """Where attempts are made."""

    async def attempt(self, instance: Instance, number: int, slot: AsyncExitStack, *, anew: bool) -> Result:
        """Make an attempt and grade it. Closing `slot` early lets the next one begin; with `anew`, what an earlier start
        left to be graded is not taken. Raises UsageError for settings that cannot be, CoderError for this attempt."""


@dataclass(slots=True, kw_only=True)
class Runner:
    """Makes every attempt at `instances` that has no result yet, or one whose status is in `rerun`."""

    folder: RunFolder
    instances: Sequence[Instance]
    attempts: int
    executor: Executor
    workers: Workers
    name: str = ""
    rerun: Collection[Status] = ()
    report: Report = lambda result, done, total: None
    _results: dict[tuple[str, int], Result] = field(default_factory=dict)
    _failed: CoderError | None = None
    _server_errors: int = 0
    """In a row."""

    async def all(self) -> list[Result]:
        """Every result, in the order of the instances. Raises UsageError when no attempt can be made with these
        settings, ModelUnavailable when the server is gone."""
        waiting = list(self._waiting())
        async with asyncio.TaskGroup() as group:
            for instance, number, anew in waiting:
                group.create_task(self._one(instance, number, anew=anew))
        if self._failed is not None:
            raise self._failed
        self._predict()
        return [
            self._results[each.id, number]
            for each in self.instances
            for number in range(1, self.attempts + 1)
        ]

    def _waiting(self) -> list[tuple[Instance, int, bool]]:
        """What is to be done, all first attempts before any second."""
        waiting = []
        for number in range(1, self.attempts + 1):
            for instance in self.instances:
                found = self.folder.result(instance.id, number)
                again = found is not None and found.status in self.rerun
                if found is None or found.status.infrastructure or again:
                    waiting.append((instance, number, again))
                else:
                    self._results[instance.id, number] = found
        return waiting

    async def _one(self, instance: Instance, number: int, *, anew: bool) -> None:
        async with AsyncExitStack() as slot:
            await slot.enter_async_context(self.workers)
            if self._failed is not None:
                return
            try:
                result = await self.executor.attempt(instance, number, slot, anew=anew)
            except UsageError as error:
                self._failed = self._failed or error
                return
            except CoderError as error:
                result = broken_off(instance.id, number, Status.ENVIRONMENT_ERROR, str(error))
        self._keep(result)

    def _keep(self, result: Result) -> None:
        self.folder.keep(result)
        self._server_errors = self._server_errors + 1 if result.status is Status.SERVER_ERROR else 0
        if self._server_errors >= PATIENCE + self.workers.count:
            self._failed = self._failed or ModelUnavailable(
                result.detail,
                hint="What is done is kept: once the server is back, run the same command again.",
            )
        self._results[result.instance, result.attempt] = result
        self._predict()
        self.report(result, len(self._results), len(self.instances) * self.attempts)

    def _predict(self) -> None:
        predictions.write(self.folder, self._results.values(), self.name)
