"""The judge: reproduces the failure and checks the change, each time on a clean copy in a clean sandbox."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from coder import events
from coder.events import Emit
from coder.workflows.evidence import MAX_OUTPUT, Evidence, Gate, Tested, Tests, not_applicable
from coder.workflows.gates import coverage, mutation
from coder.workflows.gates.checked import checked
from coder.workflows.gates.docs import asks_for_docs, code_unchanged
from coder.workflows.gates.files import minimal, no_secrets, parses, runs_nothing_later
from coder.workflows.gates.source import ChangedFile, changed_files
from coder.workflows.gates.tests import failing_targets, fixed, no_regressions, reproduced, tests_unchanged
from coder.workflows.request import Request
from coder.workflows.site import Site
from coder.workflows.suite import ran, run_suite
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
        known: Tested | None = None,
    ) -> None:
        """The change counts from the snapshot `since`, by default the copy's start. What is `known` of a snapshot is
        not run again."""
        self.evidence = Evidence()
        self.targets: tuple[str, ...] = ()
        """The tests that the task names, as node ids."""
        self.expects_failure = request.workflow == "fix"
        self._only_docs = not self.expects_failure and asks_for_docs(request.task)
        self._must_change = request.must_change
        self._since = since
        self._known = {} if known is None else known
        self._task = request.task
        self._config = request.config
        self._site = site
        self._emit = emit
        self._judged: tuple[str, bytes] | None = None

    @property
    def failing(self) -> frozenset[str]:
        """The tests of this run's concern that were seen to fail before the change."""
        before = self.evidence.before
        return failing_targets(before, self.targets) if before else frozenset()

    async def reproduce(self) -> Tests:
        """Run the named tests, or all, on an untouched copy."""
        workspace = await self._site.workspace()
        if not self._config.test:
            self.targets = await asyncio.to_thread(_named, self._task, workspace, self._base(workspace))
        await self._emit(events.Activity(text="running the tests on an untouched copy"))
        self.evidence.before = await self._before(self._base(workspace), self.targets)
        return self.evidence.before

    async def _before(self, base: str, targets: Sequence[str] = ()) -> Tests:
        """What tests say without the change, run once in a clean sandbox."""
        key = (base, *targets)
        if (known := self._known.get(key)) is not None:
            return known
        async with self._site.clean(base) as sandbox:
            tests = await self._run(sandbox, "before", targets)
        if not tests.problem:
            self._known[key] = tests
        return tests

    async def objection(self) -> str:
        """What already speaks against the present state of the model's copy; empty when nothing does.

        Runs in the model's own sandbox: good enough to send the model back to work, never to accept.
        """
        workspace = await self._site.workspace()
        changes = await asyncio.to_thread(workspace.changes, self._base(workspace))
        if not changes and self._must_change:
            return "Nothing was changed yet. If the task cannot be done, submit with give_up."
        unchanged = tests_unchanged(changes)
        if self.expects_failure and not unchanged.passed:
            return f"Existing test files may not be changed ({unchanged.detail}). Undo that, then submit."
        if self.failing:
            await self._emit(events.Activity(text="running the failing tests before accepting"))
            tests = await self._run(await self._site.sandbox(), "attempt", sorted(self.failing))
            if not fixed(self.failing, tests).passed:
                return f"The failing test does not pass yet.\n{tests.tail}"
        return ""

    async def judge(self) -> bytes:
        """Pass the change through the gates, cheap ones first; returns the patch, empty for no change. What was judged
        already is not judged again."""
        workspace = await self._site.workspace()
        tree = await asyncio.to_thread(workspace.snapshot)
        base = self._base(workspace)
        changes = await asyncio.to_thread(workspace.changes, base, tree)
        if not changes:
            return b""
        if self._judged is not None and self._judged[0] == tree:
            return self._judged[1]
        self.evidence.gates.clear()
        self.evidence.after = None
        patch = await asyncio.to_thread(workspace.patch, base, tree)
        self.evidence.hashes = await asyncio.to_thread(_hashes, workspace, base, tree, patch)
        files = await asyncio.to_thread(changed_files, changes, workspace.shadow.blob)
        await self._read_gates(patch, changes, files)
        if self.evidence.passed and (await self._site.sandbox()).runs:
            await self._run_gates(tree, changes, files)
        self._judged = tree, patch
        return patch

    async def _read_gates(
        self, patch: bytes, changes: Sequence[Change], files: Sequence[ChangedFile]
    ) -> None:
        """The gates that only look at the change."""
        await self._gate(self._inside(patch))
        if self.expects_failure:
            await self._gate(tests_unchanged(changes))
        if self._only_docs:
            await self._gate(code_unchanged(files))
        await self._gate(parses(files))
        await self._gate(minimal(files, self._task, strict=self.expects_failure))
        await self._gate(no_secrets(files))
        allowed = self._config.runs_later == "allow"
        await self._gate(runs_nothing_later(self.evidence.flagged, allowed=allowed))

    def _base(self, workspace: Workspace) -> str:
        return self._since or workspace.base

    def _inside(self, patch: bytes) -> Gate:
        try:
            report = patches.check(patch)
        except PatchRefused as error:
            return Gate("inside", False, str(error))
        self.evidence.flagged = tuple(f"{flag.path} ({flag.reason})" for flag in report.flagged)
        return Gate("inside", True, "every file lies inside the repository")

    async def _run_gates(self, tree: str, changes: Sequence[Change], files: Sequence[ChangedFile]) -> None:
        """The gates that run something, each in a clean sandbox; the repository's own checkers last."""
        await self._emit(events.Activity(text="running all tests before and after, in clean sandboxes"))
        before = await self._whole_suite_before()
        async with self._site.clean(tree) as sandbox:
            after = self.evidence.after = await self._run(sandbox, "after")
        if self.expects_failure:
            failing = self.failing or await self._new_tests_on_old_code(tree, changes)
            await self._gate(reproduced(failing))
            await self._gate(fixed(failing, after))
        await self._gate(no_regressions(before, after))
        if self.evidence.passed and self.expects_failure:
            await self._coverage(tree, files, sorted(failing))
        if self.evidence.passed and not self.expects_failure:
            await self._mutation(tree, changes, files)
        if self.evidence.passed:
            await self._checkers(tree, files)

    async def _coverage(self, tree: str, files: Sequence[ChangedFile], failing: Sequence[str]) -> None:
        if self._config.test:
            gate = not_applicable(coverage.NAME, "the tests have a command of their own")
        else:
            python, timeout = await self._site.python(), self._config.test_timeout
            async with self._site.clean(tree) as sandbox:
                gate = await coverage.covered(sandbox, files, failing, python=python, timeout=timeout)
        await self._gate(gate)

    async def _mutation(self, tree: str, changes: Sequence[Change], files: Sequence[ChangedFile]) -> None:
        """Tests that the change brings must be able to fail, or they prove nothing."""
        tests = {file.path: file.new for file in files if file.new is not None and _is_python_test(file.path)}
        new = frozenset(test for test in self._brought() if test.partition("::")[0] in tests)
        if not new:
            gate = not_applicable(mutation.NAME, "the change brings no new test")
        elif self._config.test:
            gate = not_applicable(mutation.NAME, "the tests have a command of their own")
        else:
            await self._emit(events.Activity(text="trying the new tests on mutated sources"))
            left = new - await self._new_tests_on_old_code(tree, changes)
            gate = await self._mutated(tree, left, b"\n".join(tests.values()).decode("utf-8", "replace"))
        await self._gate(gate)

    def _brought(self) -> frozenset[str]:
        before, after = self.evidence.before, self.evidence.after
        if before is None or after is None:
            return frozenset()
        return after.passed - before.passed - before.failing - before.skipped

    async def _mutated(self, tree: str, new: frozenset[str], source: str) -> Gate:
        if not new:
            return Gate(mutation.NAME, True, "the new tests fail on the code before the change")
        workspace, python = await self._site.workspace(), await self._site.python()
        files = await asyncio.to_thread(workspace.tree_files, tree)
        sources = await asyncio.to_thread(
            mutation.sources_for, source, files, lambda path: workspace.shadow.blob(files[path].id)
        )
        seconds = self.evidence.after.seconds if self.evidence.after else 0.0
        timeout = min(self._config.test_timeout, mutation.timeout(seconds))
        config = replace(self._config, test_timeout=timeout)

        async def seen(wanted: Mapping[str, list[int]]) -> Mapping[str, coverage.Lines]:
            async with self._site.clean(tree) as sandbox:
                return await coverage.lines_run(sandbox, wanted, sorted(new), python=python, timeout=timeout)

        async def trial(laid: Mapping[str, bytes], tests: frozenset[str]) -> Tests:
            mutated = await asyncio.to_thread(workspace.compose, tree, dict(laid))
            async with self._site.clean(mutated) as sandbox:
                return await run_suite(sandbox, sorted(tests), config=config, python=python)

        return await mutation.tests_can_fail(new, source, sources, seen, trial)

    async def _checkers(self, tree: str, files: Sequence[ChangedFile]) -> None:
        workspace = await self._site.workspace()
        base = self._base(workspace)
        top = await asyncio.to_thread(workspace.tree_files, base)

        def read(name: str) -> bytes | None:
            return workspace.shadow.blob(top[name].id) if name in top else None

        await checked(
            files,
            read,
            self._site.clean,
            (base, tree),
            python=await self._site.python(),
            timeout=self._config.command_timeout,
            report=self._gate,
        )

    async def _whole_suite_before(self) -> Tests:
        """All tests on an untouched copy; the run that reproduced the failure, when that was of all."""
        named = self.evidence.before
        if named is not None and not self.targets:
            return named
        whole = await self._before(self._base(await self._site.workspace()))
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

    async def brings_a_failing_test(self, tree: str, changes: Sequence[Change]) -> bool:
        """Whether the change brings tests of which one fails without it."""
        return bool(await self._new_tests_on_old_code(tree, changes))

    async def passes_with(self, tree: str, tests: Mapping[str, bytes]) -> bool:
        """Whether the tests in these files, laid over snapshot `tree`, all pass."""
        workspace = await self._site.workspace()
        laid = await asyncio.to_thread(workspace.compose, tree, dict(tests))
        async with self._site.clean(laid) as sandbox:
            ran = await self._run(sandbox, "attempt", sorted(tests))
        return bool(ran.passed) and not ran.failing and not ran.problem

    async def _run(self, sandbox: Sandbox, stage: str, targets: Sequence[str] = ()) -> Tests:
        python = await self._site.python()
        tests = await run_suite(sandbox, targets, config=self._config, python=python)
        await self._emit(ran(stage, tests))
        return tests

    async def _gate(self, gate: Gate) -> None:
        self.evidence.gates.append(gate)
        await self._emit(
            events.GateFinished(
                name=gate.name,
                passed=gate.passed,
                detail=gate.detail,
                output=gate.output[-MAX_OUTPUT:],
                applicable=gate.applicable,
            )
        )


def _is_python_test(path: str) -> bool:
    return path.endswith(".py") and is_test(path)


def _hashes(workspace: Workspace, base: str, tree: str, patch: bytes) -> dict[str, str]:
    tests = [f"{path}\0{file.id}\n" for path, file in workspace.tree_files(tree).items() if is_test(path)]
    listed = "".join(sorted(tests)).encode("utf-8", "surrogateescape")
    return {
        "base": base,
        "patch": hashlib.sha256(patch).hexdigest(),
        "tests": hashlib.sha256(listed).hexdigest(),
    }


def _named(task: str, workspace: Workspace, base: str) -> tuple[str, ...]:
    files = workspace.tree_files(base)
    return named_tests(task, files, lambda path: workspace.shadow.blob(files[path].id))
