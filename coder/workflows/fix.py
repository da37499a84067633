"""fix and run: two strategies behind one name. Both change the same copy and meet the same judge."""

from __future__ import annotations

import asyncio
from importlib.resources import files

from coder import events
from coder.agent.approval import Mode
from coder.agent.limits import Limits
from coder.agent.loop import Agent, Attended, Ending
from coder.events import Emit
from coder.model.client import ModelClient
from coder.model.profile import Profile
from coder.model.roles import Levels
from coder.workflows.acceptance import Acceptance
from coder.workflows.evidence import Tests
from coder.workflows.house import Engineer, House
from coder.workflows.judge import Judge
from coder.workflows.request import Request
from tools.base import Context
from tools.standard import standard_toolbox

HEAD_START = 0.15
"""Seconds that the first request has before the repository is copied: both want the interpreter."""


class Fix:
    """One attempt at the task of `request`. Raises LimitReached, ModelError and NoSandbox."""

    def __init__(
        self,
        request: Request,
        *,
        house: House,
        judge: Judge,
        acceptance: Acceptance,
        limits: Limits,
        emit: Emit,
        attended: Attended | None = None,
    ) -> None:
        self._request = request
        self._house = house
        self._judge = judge
        self._acceptance = acceptance
        self._limits = limits
        self._emit = emit
        self._attended = attended
        self._reproducing: asyncio.Task[Tests] | None = None

    async def attempt(self, engineer: Engineer) -> Ending:
        """Let the engineer work on the copy by its strategy (agent or repair) until it ends."""
        async with self._limits.deadline():
            if engineer.strategy == "repair" and self._may_repair(engineer.profile):
                return await self._repair(engineer.model, engineer.levels)
            return await self._agent(engineer.model, engineer.levels)

    async def _agent(self, model: ModelClient, levels: Levels) -> Ending:
        """The tool loop. The model starts at once; what the tests say reaches it with its first results."""
        agent = Agent(
            model=model,
            toolbox=standard_toolbox(model.profile.dialect),
            context=self._tool_context,
            limits=self._limits,
            emit=self._emit,
            finish_gate=self._may_finish,
            levels=levels,
            attended=self._attended,
            temperature=self._request.share.temperature(model.profile),
        )
        name = "engineer.md" if self._attended is None else "session.md"
        system = files("coder.agent").joinpath("prompts", name).read_text()
        working = asyncio.create_task(agent.run(system, await self._prompt(model.profile)))
        try:
            if self._judge.expects_failure and (ending := await self._reproduce_beside(working, agent)):
                return ending
            return await working
        finally:
            await _cancel(working)

    async def _reproduce_beside(self, working: asyncio.Task[Ending], agent: Agent) -> Ending | None:
        reproducing = self._reproducing = asyncio.create_task(self._reproduce())
        try:
            await asyncio.wait({working, reproducing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return None
            before = await reproducing
            if self._judge.targets and not self._judge.failing and not before.problem:
                return self._already_passes()
            agent.tell(self._told_of(before))
            return None
        finally:
            await _cancel(reproducing)

    async def _reproduce(self) -> Tests:
        await asyncio.sleep(HEAD_START)
        return await self._judge.reproduce()

    async def _may_finish(self) -> str:
        """The finish gate. Nothing is accepted before it is known which tests failed."""
        if self._reproducing is not None:
            await asyncio.shield(self._reproducing)
        return await self._acceptance.objection()

    async def _repair(self, model: ModelClient, levels: Levels) -> Ending:
        """Guided repair: our code steers, the model only writes functions. It needs a failing test."""
        from coder.workflows.guided import guided_repair

        if (attended := self._attended) is not None:
            said = events.UserMessage(text=self._request.task, tree=attended.tree)
            await self._emit(said)
        before = await self._judge.reproduce()
        if before.problem:
            return Ending("tests_do_not_run", before.problem, before.tail)
        if not self._judge.failing:
            if self._judge.targets:
                return self._already_passes()
            return Ending("no_failing_test", f"all {before.count} tests pass: there is nothing to repair")
        return await guided_repair(
            task=self._request.task,
            failing=sorted(self._judge.failing),
            before=before,
            context=await self._tool_context(),
            model=model,
            levels=levels,
            config=self._house.config,
            limits=self._limits,
            emit=self._emit,
            share=self._request.share,
        )

    def _may_repair(self, profile: Profile) -> bool:
        """Guided repair knows neither an earlier conversation nor how to ask before it edits."""
        attended = self._attended
        return attended is None or (attended.permission.mode is Mode.AUTO and not self._begun(profile))

    def _begun(self, profile: Profile) -> bool:
        """Whether this task goes on with a conversation."""
        return self._attended is not None and self._attended.past(profile) is not None

    async def _prompt(self, profile: Profile) -> str:
        advice = "" if self._begun(profile) else await self._house.advice()
        if self._attended is not None:
            advice += self._attended.extra
        if hosts := self._house.config.allow_hosts:
            advice = (
                f"\n\nThere is a network after all, to {', '.join(hosts)} only, by HTTP and HTTPS.{advice}"
            )
        if not self._judge.expects_failure:
            return self._request.task + advice
        return f"Find the bug and fix it: {self._request.task}{advice}"

    def _already_passes(self) -> Ending:
        return Ending("already_passes", f"{', '.join(self._judge.targets)} passes already: nothing to fix")

    def _told_of(self, before: Tests) -> str:
        failing = sorted(self._judge.failing)
        if before.problem:
            return f"[The tests were tried on the untouched repository: {before.problem}.\n{before.tail}]"
        if not failing:
            return (
                f"[All {before.count} tests pass on the untouched repository. "
                "Add a new test file with a test that fails because of the bug, then fix the bug.]"
            )
        names = ", ".join(failing[:5])
        return f"[On the untouched repository {len(failing)} of the tests fail: {names}\n{before.tail}]"

    async def _tool_context(self) -> Context:
        context = await self._house.context()
        context.needs_change = self._request.must_change
        return context


async def _cancel(task: asyncio.Task[Ending] | asyncio.Task[Tests]) -> None:
    """End `task` and wait until it has cleaned up after itself."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
