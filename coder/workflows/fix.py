"""fix and run: two strategies behind one name. Both change the same copy and meet the same judge."""

from __future__ import annotations

import asyncio
from importlib.resources import files

from coder import events
from coder.agent.limits import Limits
from coder.agent.loop import Agent, Ending
from coder.config import Config
from coder.events import Emit
from coder.model.client import ModelClient
from coder.model.roles import Levels
from coder.workflows.evidence import Tests
from coder.workflows.judge import Judge
from coder.workflows.site import Site
from sandbox.choose import UNCONFINED
from tools.base import Context
from tools.standard import standard_toolbox

HEAD_START = 0.15
"""Seconds that the first request has before the repository is copied: both want the interpreter."""

_RISK = (
    "there is no sandbox: what the model and the repository run can read and change everything that you can, "
    "reach the network, and stay"
)
_UNVERIFIED = (
    "no command can run here: the model reads and edits, no test runs, and the change is never applied"
)


class Fix:
    """One attempt at `task`. Raises LimitReached, ModelError and NoSandbox."""

    def __init__(
        self,
        task: str,
        *,
        advice: str = "",
        site: Site,
        judge: Judge,
        config: Config,
        limits: Limits,
        emit: Emit,
    ) -> None:
        self._task = task
        self._advice = advice
        self._site = site
        self._judge = judge
        self._config = config
        self._limits = limits
        self._emit = emit
        self._context: Context | None = None
        self._reproducing: asyncio.Task[Tests] | None = None

    async def attempt(self, model: ModelClient, levels: Levels, strategy: str) -> Ending:
        """Let `strategy` (agent or repair) work on the copy until it ends."""
        async with self._limits.deadline():
            if strategy == "repair":
                return await self._repair(model, levels)
            return await self._agent(model, levels)

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
        )
        system = files("coder.agent").joinpath("prompts", "engineer.md").read_text()
        working = asyncio.create_task(agent.run(system, self._prompt()))
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
        return await self._judge.objection()

    async def _repair(self, model: ModelClient, levels: Levels) -> Ending:
        """Guided repair: our code steers, the model only writes functions. It needs a failing test."""
        from coder.workflows.guided import guided_repair

        before = await self._judge.reproduce()
        if before.problem:
            return Ending("tests_do_not_run", before.problem, before.tail)
        if not self._judge.failing:
            if self._judge.targets:
                return self._already_passes()
            return Ending("no_failing_test", f"all {before.count} tests pass: there is nothing to repair")
        return await guided_repair(
            task=self._task,
            failing=sorted(self._judge.failing),
            before=before,
            context=await self._tool_context(),
            model=model,
            levels=levels,
            config=self._config,
            limits=self._limits,
            emit=self._emit,
        )

    def _prompt(self) -> str:
        hosts = self._config.allow_hosts
        reach = (
            f"\n\nThere is a network after all, to {', '.join(hosts)} only, by HTTP and HTTPS."
            if hosts
            else ""
        )
        if not self._judge.expects_failure:
            return self._task + reach + self._advice
        return f"Find the bug and fix it: {self._task}{reach}{self._advice}"

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
        """The tools' surroundings, made when the first tool needs them."""
        if self._context is None:
            sandbox = await self._site.sandbox()
            promises = self._site.promises(sandbox)
            enforced = {promise.name: promise.enforced for promise in promises}
            why = await self._site.why()
            await self._emit(events.Prepared(sandbox=sandbox.name, why=why, guarantees=enforced))
            if advice := await self._site.advice():
                await self._emit(events.Warning(text=advice))
            await self._emit(events.Guaranteed(sandbox=sandbox.name, promises=promises))
            self._site.examine_beside(sandbox, self._emit)
            if sandbox.name == UNCONFINED:
                await self._emit(events.Warning(text=_RISK if sandbox.runs else _UNVERIFIED))
            self._context = Context(
                sandbox=sandbox,
                needs_check=sandbox.runs,
                command_timeout=self._config.command_timeout,
                test_command=self._config.test,
                python=await self._site.python(),
            )
        return self._context


async def _cancel(task: asyncio.Task[Ending] | asyncio.Task[Tests]) -> None:
    """End `task` and wait until it has cleaned up after itself."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
