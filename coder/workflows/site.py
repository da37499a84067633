"""The run's copy of the repository, and the sandboxes that are opened upon it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from coder import environment, events
from coder.config import PROJECT_FILE, Config
from coder.environment import Found, Prepared
from coder.errors import NoSandbox, UsageError
from coder.events import Emit
from coder.sessions import OWNER
from sandbox.base import Policy, Sandbox
from sandbox.container import reap_containers
from sandbox.environments.recipe import Environment
from sandbox.errors import SandboxError
from sandbox.network import Attempt, Network
from sandbox.nothing import Nothing
from sandbox.owner import me
from sandbox.repository import Repository
from sandbox.toolchain import Toolchain, detect
from sandbox.walking import remove_tree
from sandbox.workspace import Workspace

BREATH = 1.0
"""Seconds that a run has to itself before its sandbox is examined: both want the processors."""


@dataclass(frozen=True, slots=True)
class _Copied:
    """The copy, the programs for it, and the environment that was set up for the project, if any."""

    workspace: Workspace
    toolchain: Toolchain
    found: Found
    environment: Environment | None = None


def _advice(copied: _Copied, sandbox: str, *, named_image: bool) -> str:
    plan, toolchain = copied.found.plan, copied.toolchain
    if copied.environment is not None or plan is None or named_image:
        return ""
    own = not toolchain.fallback or any(mount.target.name == "node_modules" for mount in toolchain.mounts)
    if sandbox == "bubblewrap" and own:
        return ""
    return (
        f"{plan.recipe.source} declares dependencies, and none are set up: "
        "if tests cannot import what they need, `coder init` sets them up once"
    )


class Site:
    """Opens sandboxes on demand; everything is gone after `close`. Raises NoSandbox."""

    def __init__(
        self,
        repository: Repository,
        state: Path,
        config: Config,
        *,
        on_attempt: Callable[[Attempt], None] | None = None,
        prepared: Prepared | None = None,
    ) -> None:
        """`on_attempt` is told what commands ask of the network, where the configuration allows any host. What is
        `prepared` is used; the project's environment is not looked for then."""
        self.repository = repository
        self.state = state
        self.config = config
        self._prepared = prepared
        # the same for the model's sandbox and for clean ones: what it needs to fail, a test needs to pass
        self._network = Network(config.allow_hosts, on_attempt=on_attempt) if config.allow_hosts else None
        self._sandboxes: list[Sandbox] = []
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._made: asyncio.Task[_Copied] | None = None
        self._opening: asyncio.Task[tuple[Sandbox, str]] | None = None
        self._examining: asyncio.Task[None] | None = None
        self._promised: dict[str, Any] | None = None
        self._bad = ""
        self._reaping: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a copy."""
        made = self._made
        return made is not None and made.done() and not made.cancelled() and not made.exception()

    @property
    def attempts(self) -> list[Attempt]:
        """What commands have asked of the network so far."""
        return self._network.attempts if self._network else []

    async def workspace(self) -> Workspace:
        """The copy that the model works in."""
        return (await self._copying()).workspace

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
        copied = await self._copying()
        if copied.environment is not None and copied.environment.python:
            return copied.environment.python
        if (await self.sandbox()).name == "docker":
            return "python3"
        return copied.toolchain.python

    async def advice(self) -> str:
        """What the user should know of the project's dependencies; empty when all is well."""
        copied, sandbox = await self._copying(), await self.sandbox()
        return _advice(copied, sandbox.name, named_image=bool(self.config.image))

    def promises(self, sandbox: Sandbox) -> tuple[events.Promise, ...]:
        """What `sandbox` enforces, as far as it is known now."""
        found = tuple(
            events.Promise(name=item.name, enforced=item.enforced, how=item.how, seen=item.seen)
            for item in sandbox.guarantees()
        )
        self._promised = {
            "name": sandbox.name,
            "guarantees": [msgspec.structs.asdict(item) for item in found],
        }
        return found

    @property
    def promised(self) -> dict[str, Any] | None:
        """The same for the evidence: of the sandbox that the model worked in; None when there was none."""
        return self._promised

    def reap_beside(self) -> None:
        """Remove the containers of dead runs, whatever sandbox this one has."""
        self._reaping = asyncio.create_task(reap_containers())

    def examine_beside(self, sandbox: Sandbox, emit: Emit) -> None:
        """Find out beside the run what sandboxes like this one really enforce, where that is not known yet."""
        if self._examining is None:
            self._examining = asyncio.create_task(self._examine(sandbox, emit))

    async def _examine(self, sandbox: Sandbox, emit: Emit) -> None:
        from sandbox.probes.examine import Probed, findings_of
        from sandbox.probes.findings import broken

        before = self.promises(sandbox)
        if not isinstance(sandbox, Probed) or all(promise.seen for promise in before):
            return
        await asyncio.sleep(BREATH)
        try:
            self._bad = broken(await findings_of(sandbox))
        except (SandboxError, OSError) as error:
            await emit(events.Warning(text=f"what the sandbox enforces could not be tried: {error}"))
            return
        if self._bad:
            await emit(events.Warning(text=f"the sandbox is no sandbox on this machine: {self._bad}"))
            await sandbox.close()  # whatever runs in it dies, and no other will start
            return
        now = self.promises(sandbox)
        if any(promise.enforced != earlier.enforced for promise, earlier in zip(now, before, strict=True)):
            await emit(events.Guaranteed(sandbox=sandbox.name, promises=now))

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
        try:
            copy = await self._stoppable(workspace.fresh, state, tree or base, overlay=overlay)
            sandbox, _ = await self._open(copy)
            yield sandbox
            await sandbox.close()
        finally:
            await asyncio.to_thread(remove_tree, state)

    async def close(self) -> None:
        """Ends every sandbox and removes every copy. Safe to call twice."""
        self._stop.set()
        for beside in (self._examining, self._reaping):
            if beside is not None:
                beside.cancel()
                await asyncio.gather(beside, return_exceptions=True)
        for task in (self._made, self._opening):
            if task is not None:
                await asyncio.gather(task, return_exceptions=True)
        for sandbox in self._sandboxes:
            await sandbox.close()
        self._sandboxes.clear()
        if self._network is not None:
            await self._network.close()
        if self.ready:
            await asyncio.to_thread((await self._copying()).workspace.close)
        with contextlib.suppress(FileNotFoundError):
            (self.state / OWNER).unlink()  # last: what a kill leaves until then is found by it

    async def _copying(self) -> _Copied:
        """The one copying, begun when it is first asked for."""
        if self._made is None:
            self._made = asyncio.create_task(self._copy())
        return await asyncio.shield(self._made)

    async def _copy(self) -> _Copied:
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            (self.state / OWNER).write_text(me())
            workspace = await self._stoppable(Workspace.create, self.repository.root, self.state)
            return await asyncio.to_thread(self._surveyed, workspace)
        except SandboxError as error:
            raise NoSandbox(str(error), hint=error.hint) from error
        except OSError as error:
            raise UsageError(f"{self.state} cannot be written: {error.strerror}") from error

    def _surveyed(self, workspace: Workspace) -> _Copied:
        """What the project needs and what is there, found out before anything runs in the copy."""
        if self._prepared is not None:
            return _Copied(workspace, self._prepared.toolchain, Found(), self._prepared.environment)
        found = environment.find(workspace.root, self.repository.root, self.config, os.environ)
        if found.kept is not None:
            kept = found.kept
            return _Copied(
                workspace, kept.toolchain(), found, environment.store(os.environ).environment(kept)
            )
        self._insist_on_agreement(workspace, found)
        toolchain = detect(self.repository.root, os.environ, Path(sys.executable))
        return _Copied(workspace, toolchain, found)

    def _insist_on_agreement(self, workspace: Workspace, found: Found) -> None:
        """An image that the repository names is used only when the user has agreed to it."""
        if not environment.image_of_project(self.config) or self.config.sandbox not in ("auto", "docker"):
            return
        agreements, project = environment.Agreements(os.environ), self.repository.root
        if found.plan is None or not agreements.has(workspace.root, project, found.plan.recipe):
            raise UsageError(
                f"the repository's {PROJECT_FILE} names the image {self.config.image}, to which you have not agreed",
                hint="`coder init` shows it and asks; --yes agrees; --image IMAGE names one yourself.",
            )

    async def _stoppable(self, copy: Callable[..., Workspace], *args: Any, **options: Any) -> Workspace:
        """Run a copying in a thread that `close` can end."""

        def stop_when_told(done: int, total: int) -> None:
            if self._stop.is_set():
                raise NoSandbox("the copying of the repository was stopped")

        return await asyncio.to_thread(copy, *args, progress=stop_when_told, **options)

    async def _opened(self) -> tuple[Sandbox, str]:
        if self._bad:
            raise NoSandbox(f"the sandbox isolates nothing on this machine: {self._bad}")
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(await self.workspace()))
        return await asyncio.shield(self._opening)

    async def _open(self, workspace: Workspace) -> tuple[Sandbox, str]:
        from sandbox.choose import open_sandbox

        copied = await self._copying()
        shown = copied.environment
        try:
            if self._network is not None:
                await self._network.start()
            sandbox, why = await open_sandbox(
                copied.found.backend or self.config.sandbox,
                workspace,
                Policy(),
                image=shown.image or None if shown else self.config.image or None,
                toolchain=copied.toolchain,
                environment=shown,
                runtime=self.config.runtime,
                network=self._network,
            )
        except SandboxError as error:
            again = (
                "`coder init` sets it up anew, `coder init --clean` forgets it" if copied.found.kept else ""
            )
            raise NoSandbox(str(error), hint=again or error.hint) from error
        self._sandboxes.append(sandbox)
        why = f"{sandbox.name}. {shown.why}" if shown else why
        if self._network is not None and sandbox.name != "none":
            why = f"{why} Network: {self._network.promise}."
        return sandbox, why
