"""One candidate: an attempt in a copy and sandboxes of its own, judged like any other."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from coder.agent.limits import Limits
from coder.agent.loop import Ending
from coder.errors import CoderError, LimitReached
from coder.events import Emit
from coder.review_events import CandidateFinished
from coder.workflows.acceptance import Acceptance
from coder.workflows.candidates.choice import Entry
from coder.workflows.gates.source import changed_files, essence
from coder.workflows.house import Engineer, House
from coder.workflows.judge import Judge
from coder.workflows.site import Site
from coder.workflows.targets import is_test
from sandbox.errors import SandboxError
from sandbox.walking import remove_tree


class Attempting(Protocol):
    async def __call__(self, candidate: Candidate, engineer: Engineer) -> Ending: ...


@dataclass(slots=True, kw_only=True)
class Candidate:
    """`attempt` lets the engineer work; what comes of it stands here afterwards."""

    index: int
    house: House
    judge: Judge
    acceptance: Acceptance
    limits: Limits
    site: Site
    state: Path
    """Where its copies are made; gone after `close`."""
    emit: Emit
    attempt: Attempting
    began: float = field(default_factory=time.monotonic)
    ending: Ending | None = None
    patch: bytes = b""
    tree: str = ""
    outcome: str = "stopped"
    """See CandidateFinished."""
    reason: str = ""
    added: int = 0
    removed: int = 0
    files: int = 0
    essence: bytes = b""
    """See Entry."""
    tests: dict[str, bytes] = field(default_factory=dict)
    """Test files that it brought, by path, if they were seen to fail without its change."""

    @property
    def name(self) -> str:
        return f"candidate-{self.index}"

    async def work(self, engineer: Engineer) -> None:
        """Attempt and judge. What goes wrong with it alone is its outcome. Raises nothing of ours."""
        try:
            self.ending = await self.attempt(self, engineer)
        except LimitReached as error:
            self.reason = str(error)
        except (CoderError, SandboxError) as error:
            self.outcome, self.reason = "error", str(error)
            return
        try:
            await self._judged()
        except (CoderError, SandboxError) as error:
            self.outcome, self.reason = "error", str(error)

    async def _judged(self) -> None:
        self.patch = await self.judge.judge()
        workspace = await self.site.workspace()
        self.tree = await asyncio.to_thread(workspace.snapshot)
        if not self.patch:
            self.outcome = "empty"
            self.reason = (
                self.reason or (self.ending.sentence if self.ending else "") or "no file was changed"
            )
            return
        changes = await asyncio.to_thread(workspace.changes, workspace.base, self.tree)
        files = await asyncio.to_thread(changed_files, changes, workspace.shadow.blob)
        self.files = len(changes)
        self.essence = essence(files)
        hunks = [hunk for file in files for hunk in file.hunks()]
        self.added, self.removed = sum(len(hunk.new) for hunk in hunks), sum(len(hunk.old) for hunk in hunks)
        failure = self.judge.evidence.first_failure()
        self.outcome = "failed" if failure or not self.judge.evidence.passed else "passed"
        if failure:
            self.reason = f"{failure.name}: {failure.detail}"
        elif self.outcome == "passed" and await self.judge.brings_a_failing_test(self.tree, changes):
            self.tests = {
                file.path: file.new
                for file in files
                if file.old is None and file.new is not None and is_test(file.path)
            }

    def entry(self) -> Entry:
        summary = self.ending.summary if self.ending else ""
        return Entry(self.index, self.patch, self.added + self.removed, summary, self.essence)

    def finished(self, votes: int, of: int) -> CandidateFinished:
        return CandidateFinished(
            index=self.index,
            name=self.name,
            outcome=self.outcome,
            reason=self.reason,
            files=self.files,
            added=self.added,
            removed=self.removed,
            votes=votes,
            tests=of,
            patch=self.patch.decode("utf-8", "replace"),
            spent=self.limits.spent,
            seconds=round(time.monotonic() - self.began, 2),
        )

    async def close(self) -> None:
        await self.acceptance.close()
        await self.house.close()
        await asyncio.to_thread(remove_tree, self.state)
