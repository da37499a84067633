"""The run's copy of the repository, and the sandboxes that are opened upon it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from coder.config import Config
from coder.errors import NoSandbox, UsageError
from coder.sessions import OWNER
from sandbox.base import Policy, Sandbox
from sandbox.errors import SandboxError
from sandbox.nothing import Nothing
from sandbox.owner import is_gone, me
from sandbox.repository import Repository
from sandbox.toolchain import Toolchain, detect
from sandbox.walking import remove_tree
from sandbox.workspace import Workspace


def sweep(runs: Path) -> None:
    """Remove the copies that killed runs left among `runs`. Their journals and patches stay."""
    for owner in runs.glob(f"*/{OWNER}"):
        with contextlib.suppress(OSError):
            if is_gone(owner.read_text()):
                for copy in _copies(owner.parent):
                    remove_tree(copy)
                owner.unlink()


def _copies(state: Path) -> Iterator[Path]:
    for pattern in ("workspace", "shadow.git", "rules", "clean-*", "scratch-*"):
        yield from state.glob(pattern)


class Site:
    """Opens sandboxes on demand; everything is gone after `close`. Raises NoSandbox."""

    def __init__(self, repository: Repository, state: Path, config: Config) -> None:
        self.repository = repository
        self.state = state
        self.config = config
        self._sandboxes: list[Sandbox] = []
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._made: asyncio.Task[tuple[Workspace, Toolchain]] | None = None
        self._opening: asyncio.Task[tuple[Sandbox, str]] | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a copy."""
        made = self._made
        return made is not None and made.done() and not made.cancelled() and not made.exception()

    async def workspace(self) -> Workspace:
        """The copy that the model works in."""
        return (await self._copying())[0]

    async def sandbox(self) -> Sandbox:
        """The sandbox that the model works in."""
        return (await self._opened())[0]

    async def why(self) -> str:
        """Which sandbox was chosen and why, in a sentence."""
        return (await self._opened())[1]

    async def unusable(self) -> NoSandbox | None:
        """Why no command can run here; None when they can."""
        sandbox = await self.sandbox()
        if not isinstance(sandbox, Nothing):
            return None
        return NoSandbox(str(sandbox.problem), hint=sandbox.problem.hint)

    async def python(self) -> str:
        """The interpreter for tests, as the sandbox sees it."""
        if (await self.sandbox()).name == "docker":
            return "python3"
        return (await self._copying())[1].python

    @contextlib.asynccontextmanager
    async def clean(
        self, tree: str = "", restore: Sequence[str] = (), base: str = ""
    ) -> AsyncIterator[Sandbox]:
        """A fresh sandbox on a fresh copy of snapshot `tree` (the base when empty), with the paths in
        `restore` as they were in the base. `base` is another snapshot than the copy's own start."""
        workspace = await self.workspace()
        state = self.state / f"clean-{next(self._numbers)}"
        base = base or workspace.base
        before = await asyncio.to_thread(workspace.tree_files, base)
        overlay = {path: before.get(path) for path in restore}
        copy = await self._stoppable(workspace.fresh, state, tree or base, overlay=overlay)
        try:
            sandbox, _ = await self._open(copy)
            yield sandbox
            await sandbox.close()
        finally:
            await asyncio.to_thread(copy.close)

    async def close(self) -> None:
        """Ends every sandbox and removes every copy. Safe to call twice."""
        self._stop.set()
        for task in (self._made, self._opening):
            if task is not None:
                await asyncio.gather(task, return_exceptions=True)
        for sandbox in self._sandboxes:
            await sandbox.close()
        self._sandboxes.clear()
        with contextlib.suppress(FileNotFoundError):
            (self.state / OWNER).unlink()
        if self.ready:
            await asyncio.to_thread((await self._copying())[0].close)

    async def _copying(self) -> tuple[Workspace, Toolchain]:
        """The one copying, begun when it is first asked for."""
        if self._made is None:
            self._made = asyncio.create_task(self._copy())
        return await asyncio.shield(self._made)

    async def _copy(self) -> tuple[Workspace, Toolchain]:
        await asyncio.to_thread(sweep, self.state.parent)
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            (self.state / OWNER).write_text(me())
            workspace = await self._stoppable(Workspace.create, self.repository.root, self.state)
            toolchain = await asyncio.to_thread(
                detect, self.repository.root, os.environ, Path(sys.executable)
            )
        except SandboxError as error:
            raise NoSandbox(str(error), hint=error.hint) from error
        except OSError as error:
            raise UsageError(f"{self.state} cannot be written: {error.strerror}") from error
        return workspace, toolchain

    async def _stoppable(self, copy: Callable[..., Workspace], *args: Any, **options: Any) -> Workspace:
        """Run a copying in a thread that `close` can end."""

        def stop_when_told(done: int, total: int) -> None:
            if self._stop.is_set():
                raise NoSandbox("the copying of the repository was stopped")

        return await asyncio.to_thread(copy, *args, progress=stop_when_told, **options)

    async def _opened(self) -> tuple[Sandbox, str]:
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(await self.workspace()))
        return await asyncio.shield(self._opening)

    async def _open(self, workspace: Workspace) -> tuple[Sandbox, str]:
        from sandbox.choose import open_sandbox

        _, toolchain = await self._copying()
        try:
            sandbox, why = await open_sandbox(
                self.config.sandbox,
                workspace,
                Policy(),
                image=self.config.image or None,
                toolchain=toolchain,
            )
        except SandboxError as error:
            raise NoSandbox(str(error), hint=error.hint) from error
        self._sandboxes.append(sandbox)
        return sandbox, why
