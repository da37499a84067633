"""Many attempts side by side. Each result is on the disk before it counts; what is there is not done again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property

from coder.errors import CoderError, ModelUnavailable, UsageError
from evals import predictions
from evals.environments import Environments
from evals.folder import RunFolder
from evals.instance import Instance
from evals.result import Result, Status, Worked
from evals.running.attempt import Attempt, Settings, broken_off
from evals.running.workers import Workers

PATIENCE = 3
"""With so many attempts in a row more than there are workers that the server failed, no further one is begun."""
Report = Callable[[Result, int, int], None]
"""Told of each result: how many are done, of how many."""


@dataclass(slots=True)
class Endpoints:
    """Servers of the same model; the one with the least of our requests is next."""

    urls: Sequence[str] = ()
    _busy: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[str]:
        if not self.urls:
            yield ""
            return
        url = min(self.urls, key=lambda each: self._busy[each])
        self._busy[url] += 1
        try:
            yield url
        finally:
            self._busy[url] -= 1


@dataclass(kw_only=True)
class Runner:
    """Makes every attempt at `instances` that has no result yet, or one whose status is in `rerun`."""

    folder: RunFolder
    instances: Sequence[Instance]
    attempts: int
    settings: Settings
    environments: Environments
    workers: Workers
    endpoints: Endpoints
    graders: int = 2
    rerun: Collection[Status] = ()
    report: Report = lambda result, done, total: None
    _results: dict[tuple[str, int], Result] = field(default_factory=dict)
    _anew: set[tuple[str, int]] = field(default_factory=set)
    """What the agent has to do again, though it left something."""
    _failed: CoderError | None = None
    _server_errors: int = 0
    """In a row."""

    async def all(self) -> list[Result]:
        """Every result, in the order of the instances. Raises UsageError when no attempt can be made with these
        settings, ModelUnavailable when the server is gone."""
        todo = self._todo()
        grading = asyncio.Semaphore(self.graders)
        order = [(each, number) for number in range(1, self.attempts + 1) for each in self.instances]
        waiting = [(each, number) for each, number in order if (each.id, number) in todo]
        async with asyncio.TaskGroup() as group:
            for instance, number in waiting:
                group.create_task(self._one(instance, number, grading))
        if self._failed is not None:
            raise self._failed
        self._predict()
        return [
            self._results[each.id, number]
            for each in self.instances
            for number in range(1, self.attempts + 1)
        ]

    @cached_property
    def _backlog(self) -> asyncio.Semaphore:
        """Holds back workers when more wait for a grading: each keeps a tree on the disk."""
        return asyncio.Semaphore(2 * self.graders)

    def _todo(self) -> set[tuple[str, int]]:
        todo = set()
        for instance in self.instances:
            for number in range(1, self.attempts + 1):
                found = self.folder.result(instance.id, number)
                if found is None or found.status.infrastructure or found.status in self.rerun:
                    todo.add((instance.id, number))
                    if found is not None and found.status in self.rerun:
                        self._anew.add((instance.id, number))
                else:
                    self._results[instance.id, number] = found
        return todo

    async def _one(self, instance: Instance, number: int, grading: asyncio.Semaphore) -> None:
        try:
            result = await self._attempted(instance, number, grading)
        except UsageError as error:
            self._failed = self._failed or error
            return
        except CoderError as error:
            result = broken_off(instance.id, number, Status.ENVIRONMENT_ERROR, str(error))
        if result is None:
            return
        self.folder.keep(result)
        self._server_errors = self._server_errors + 1 if result.status is Status.SERVER_ERROR else 0
        if self._server_errors >= PATIENCE + self.workers.count:
            self._failed = self._failed or ModelUnavailable(
                result.detail,
                hint="What is done is kept: once the server is back, run the same command again.",
            )
        self._results[instance.id, number] = result
        self._predict()
        self.report(result, len(self._results), len(self.instances) * self.attempts)

    async def _attempted(self, instance: Instance, number: int, grading: asyncio.Semaphore) -> Result | None:
        """The model works within a worker's slot; grading has slots of its own, so that both overlap."""
        async with AsyncExitStack() as slot:
            await slot.enter_async_context(self.workers)
            if self._failed is not None:
                return None
            began = time.monotonic()
            async with self.environments.place(instance) as place:
                attempt = Attempt(
                    instance=instance,
                    number=number,
                    place=place,
                    folder=self.folder.place(instance.id, number),
                    settings=self.settings,
                    setup=time.monotonic() - began,
                    on_tokens=self.workers.note,
                )
                worked = await self._worked(attempt)
                async with self._backlog:
                    await slot.aclose()
                    async with grading:
                        return await attempt.verdict(worked)

    async def _worked(self, attempt: Attempt) -> Worked:
        """What the agent left, now or when this was cut off before its grading."""
        instance, number = attempt.instance.id, attempt.number
        if (instance, number) not in self._anew and (kept := self.folder.work(instance, number)) is not None:
            return kept
        async with self.endpoints.one() as attempt.endpoint:
            worked = await attempt.work()
        self.folder.keep_work(worked)
        return worked

    def _predict(self) -> None:
        predictions.write(self.folder, self._results.values(), self.settings.name)
