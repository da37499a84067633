"""The judge: reproduces the failure and checks the change, each time on a clean copy in a clean sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from coder import events
from coder.events import Emit
from coder.workflows import gates
from coder.workflows.evidence import Evidence, Gate, Tests
from coder.workflows.request import Request
from coder.workflows.site import Site
from coder.workflows.suite import run_suite
from coder.workflows.targets import is_test, named_tests
from sandbox import patches
from sandbox.base import Sandbox
from sandbox.errors import PatchRefused
from sandbox.workspace import Change, Workspace


class Judge:
    """Fills `evidence`. Nothing that the model or its programs say counts, only what is seen here."""

    def __init__(
        self,
        request: Request,
        site: Site,
        emit: Emit,
        *,
        since: str = "",
        known: dict[str, Tests] | None = None,
    ) -> None:
        """The change counts from the snapshot `since`, by default the copy's start. `known` keeps runs of all tests
        by the snapshot that they were made on."""
        self.evidence = Evidence()
        self.targets: tuple[str, ...] = ()
        """The tests that the task names, as node ids."""
        self.expects_failure = request.workflow == "fix"
        self._must_change = request.must_change
        self._since = since
        self._known = {} if known is None else known
        self._task = request.task
        self._config = request.config
        self._site = site
        self._emit = emit

    @property
    def failing(self) -> frozenset[str]:
        """The tests of this run's concern that were seen to fail before the change."""
        before = self.evidence.before
        return gates.failing_targets(before, self.targets) if before else frozenset()

    async def reproduce(self) -> Tests:
        """Run the named tests, or all, on an untouched copy."""
        workspace = await self._site.workspace()
        if not self._config.test:
            self.targets = await asyncio.to_thread(_named, self._task, workspace, self._base(workspace))
        await self._emit(events.Activity(text="running the tests on an untouched copy"))
        async with self._site.clean(self._since) as sandbox:
            self.evidence.before = await self._run(sandbox, "before", self.targets)
        return self.evidence.before

    async def objection(self) -> str:
        """What already speaks against the present state of the model's copy; empty when nothing does.

        Runs in the model's own sandbox: good enough to send the model back to work, never to accept.
        """
        workspace = await self._site.workspace()
        changes = await asyncio.to_thread(workspace.changes, self._base(workspace))
        if not changes and self._must_change:
            return "Nothing was changed yet. If the task cannot be done, submit with give_up."
        unchanged = gates.tests_unchanged(changes)
        if self.expects_failure and not unchanged.passed:
            return f"Existing test files may not be changed ({unchanged.detail}). Undo that, then submit."
        if self.failing:
            await self._emit(events.Activity(text="running the failing tests before accepting"))
            tests = await self._run(await self._site.sandbox(), "attempt", sorted(self.failing))
            if not gates.fixed(self.failing, tests).passed:
                return f"The failing test does not pass yet.\n{tests.tail}"
        return ""

    async def judge(self) -> bytes:
        """Pass the change through the gates, cheap ones first; returns the patch, empty for no change."""
        workspace = await self._site.workspace()
        tree = await asyncio.to_thread(workspace.snapshot)
        base = self._base(workspace)
        changes = await asyncio.to_thread(workspace.changes, base, tree)
        if not changes:
            return b""
        patch = await asyncio.to_thread(workspace.patch, base, tree)
        await self._gate(self._inside(patch))
        if self.expects_failure:
            await self._gate(gates.tests_unchanged(changes))
        await self._gate(gates.parses(changes, workspace.shadow.blob))
        if self.evidence.passed and (await self._site.sandbox()).runs:
            await self._run_gates(tree, changes)
        return patch

    def _base(self, workspace: Workspace) -> str:
        return self._since or workspace.base

    def _inside(self, patch: bytes) -> Gate:
        try:
            report = patches.check(patch)
        except PatchRefused as error:
            return Gate("inside", False, str(error))
        self.evidence.flagged = tuple(f"{flag.path} ({flag.reason})" for flag in report.flagged)
        return Gate("inside", True, "every file lies inside the repository")

    async def _run_gates(self, tree: str, changes: Sequence[Change]) -> None:
        await self._emit(events.Activity(text="running all tests before and after, in clean sandboxes"))
        before = await self._whole_suite_before()
        async with self._site.clean(tree) as sandbox:
            after = self.evidence.after = await self._run(sandbox, "after")
        if self.expects_failure:
            failing = self.failing or await self._new_tests_on_old_code(tree, changes)
            await self._gate(gates.reproduced(failing))
            await self._gate(gates.fixed(failing, after))
        await self._gate(gates.no_regressions(before, after))

    async def _whole_suite_before(self) -> Tests:
        """All tests on an untouched copy; the run that reproduced the failure, when that was of all."""
        named = self.evidence.before
        if named is not None and not self.targets:
            return named
        base = self._base(await self._site.workspace())
        whole = self._known.get(base)
        if whole is None:
            async with self._site.clean(base) as sandbox:
                whole = await self._run(sandbox, "before")
            if not whole.problem:
                self._known[base] = whole
        self.evidence.before = named if named is not None and whole.problem else whole
        return self.evidence.before

    async def _new_tests_on_old_code(self, tree: str, changes: Sequence[Change]) -> frozenset[str]:
        """The tests that the change itself brings, as far as they fail on the code before it."""
        brought = [change.path for change in changes if change.kind == "added" and is_test(change.path)]
        files = [path for path in brought if path.endswith(".py")]
        code = [change.path for change in changes if change.path not in brought]
        if not files or not code:
            return frozenset()
        async with self._site.clean(tree, restore=code, base=self._since) as sandbox:
            return (await self._run(sandbox, "before", files)).failing

    async def _run(self, sandbox: Sandbox, stage: str, targets: Sequence[str] = ()) -> Tests:
        python = await self._site.python()
        tests = await run_suite(sandbox, targets, config=self._config, python=python)
        await self._emit(
            events.SuiteRan(
                stage=stage,
                passed=len(tests.passed),
                failed=len(tests.failing),
                failing=tuple(sorted(tests.failing)[:20]),
                seconds=round(tests.seconds, 2),
            )
        )
        return tests

    async def _gate(self, gate: Gate) -> None:
        self.evidence.gates.append(gate)
        await self._emit(events.GateFinished(name=gate.name, passed=gate.passed, detail=gate.detail))


def _named(task: str, workspace: Workspace, base: str) -> tuple[str, ...]:
    files = workspace.tree_files(base)
    return named_tests(task, files, lambda path: workspace.shadow.blob(files[path].id))
