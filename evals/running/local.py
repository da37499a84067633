"""Attempts on this machine."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property

from evals.environments import Environments
from evals.folder import RunFolder
from evals.instance import Instance
from evals.result import Result, Worked
from evals.running.attempt import Attempt, Settings
from evals.running.endpoints import Endpoints


@dataclass(kw_only=True)
class Local:
    """The model works within a worker's slot; grading has slots of its own, so that both overlap."""

    folder: RunFolder
    settings: Settings
    environments: Environments
    endpoints: Endpoints
    graders: int = field(default_factory=lambda: max(2, os.cpu_count() or 1))
    """Gradings at once."""
    on_tokens: Callable[[int], None] = lambda tokens: None

    @cached_property
    def _grading(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.graders)

    @cached_property
    def _backlog(self) -> asyncio.Semaphore:
        """Holds back workers when more wait for a grading: each keeps a tree on the disk."""
        return asyncio.Semaphore(2 * self.graders)

    async def attempt(self, instance: Instance, number: int, slot: AsyncExitStack, *, anew: bool) -> Result:
        """See Executor."""
        began = time.monotonic()
        async with self.environments.place(instance) as place:
            attempt = Attempt(
                instance=instance,
                number=number,
                place=place,
                folder=self.folder.place(instance.id, number),
                settings=self.settings,
                setup=time.monotonic() - began,
                on_tokens=self.on_tokens,
            )
            worked = await self._worked(attempt, anew=anew)
            async with self._backlog:
                await slot.aclose()
                async with self._grading:
                    return await attempt.verdict(worked)

    async def _worked(self, attempt: Attempt, *, anew: bool) -> Worked:
        """What the agent left, now or when this was cut off before its grading."""
        if not anew and (kept := self.folder.work(attempt.instance.id, attempt.number)) is not None:
            return kept
        async with self.endpoints.one() as attempt.endpoint:
            worked = await attempt.work()
        self.folder.keep_work(worked)
        return worked
