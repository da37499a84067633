"""The files of a session through time: kept snapshots, and the way back to each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from coder import events
from coder.agent.memory import Memory
from coder.errors import UsageError
from coder.events import Emit
from coder.workflows.house import House
from sandbox.errors import SandboxError
from sandbox.keeping import Conflict, Keeper
from sandbox.workspace import Workspace


class History:
    """Snapshots of one session, in this life and in earlier ones of the same journal."""

    def __init__(self, directory: Path, house: House, memory: Memory, emit: Emit) -> None:
        self._keeper = Keeper(directory)
        self._house = house
        self._memory = memory
        self._emit = emit
        self._here: dict[str, str] = {}
        """Snapshots by their id in the journal, as they are called in the present shadow repository."""

    @property
    def ready(self) -> bool:
        """Whether there is a copy yet."""
        return self._house.site is not None and self._house.site.ready

    def keep(self, workspace: Workspace, tree: str) -> None:
        """Keep a snapshot beyond the life of the copy. Blocks."""
        self._keeper.keep(workspace, tree)
        self._here[tree] = tree

    async def now(self) -> str:
        """The snapshot of the present files, kept; empty while there is no copy."""
        if not self.ready:
            return self._memory.tree
        workspace = await self._workspace()
        return await asyncio.to_thread(self._take, workspace)

    async def note(self, emit: Emit) -> str:
        """Tell of a snapshot if the files are not as they were told last."""
        tree = await self.now()
        workspace = await self._workspace() if self.ready else None
        if workspace is not None and tree != (self._memory.tree or workspace.base):
            paths = await self._paths(workspace, self._memory.tree, tree)
            await emit(events.Checkpoint(tree=tree, paths=paths))
        return tree

    async def bring_back(self) -> None:
        """Put the files as they were when the journal ended, as far as they fit what the user has now."""
        wanted = self._memory.tree
        if not wanted:
            return
        workspace = await self._workspace()
        try:
            tree, conflicts = await asyncio.to_thread(self._brought, workspace, wanted)
        except SandboxError as error:
            await self._emit(events.Warning(text=f"the files of the session cannot be brought back: {error}"))
            tree, conflicts = workspace.base, ()
        await asyncio.to_thread(workspace.restore, tree)
        tree = await self.now()
        if tree != wanted:
            paths = await self._paths(workspace, workspace.base, tree)
            await self._emit(events.Checkpoint(tree=tree, paths=paths))
        if conflicts:
            await self._emit(events.Warning(text=_told(conflicts)))

    async def go_to(self, wanted: str) -> tuple[str, tuple[str, ...]]:
        """Put the files as they were in a snapshot; its present id, and the paths that changed by it.

        Raises UsageError when it cannot be brought back.
        """
        if not wanted and not self.ready:
            return "", ()
        workspace = await self._workspace()
        before = await self.now()
        try:
            tree, conflicts = await asyncio.to_thread(self._brought, workspace, wanted)
            await asyncio.to_thread(workspace.restore, tree)
        except (SandboxError, OSError) as error:
            raise UsageError(f"the files cannot be put back: {error}") from error
        if conflicts:
            await self._emit(events.Warning(text=_told(conflicts)))
        tree = await self.now()
        self._here[wanted] = tree
        return tree, await self._paths(workspace, before, tree)

    async def _workspace(self) -> Workspace:
        return await (await self._house.place()).workspace()

    async def _paths(self, workspace: Workspace, since: str, until: str) -> tuple[str, ...]:
        known = since if since in self._here else ""
        changes = await asyncio.to_thread(workspace.changes, known or None, until)
        return tuple(change.path for change in changes)

    def _take(self, workspace: Workspace) -> str:
        tree = workspace.snapshot()
        self.keep(workspace, tree)
        return tree

    def _brought(self, workspace: Workspace, wanted: str) -> tuple[str, Sequence[Conflict]]:
        if not wanted:
            return workspace.base, ()
        if wanted in self._here:
            return self._here[wanted], ()
        kept = self._keeper.bring_back(workspace, wanted)
        self._here[wanted] = kept.tree
        return kept.tree, kept.conflicts


def _told(conflicts: Sequence[Conflict]) -> str:
    named = [
        f"{each.path} (the session's version: {each.copy})" if each.copy else f"{each.path} (deleted there)"
        for each in conflicts
    ]
    return "these files changed on both sides and were left as they are in your tree: " + ", ".join(named)
