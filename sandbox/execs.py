"""Commands in a container: how one is prepared, how it ended, and that nothing of it runs on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.base import WORKDIR
from sandbox.command import KILL_ALL
from sandbox.container import Container
from sandbox.engine import Engine, Gone
from sandbox.errors import SandboxError

KILLED = 128 + signal.SIGKILL
_KILL_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Execs:
    """The commands of one container, all as one user ("uid:gid")."""

    engine: Engine
    container: Container
    user: str

    async def prepare(self, argv: tuple[str, ...], env: Mapping[str, str], *, stdin: bool) -> str:
        """The id of an exec that has yet to start. Raises Gone and SandboxError."""
        made = await self.engine.call(
            "exec_create",
            self.container.id,
            list(argv),
            user=self.user,
            workdir=WORKDIR,
            environment=dict(env),
            stdin=stdin,
        )
        return str(made["Id"])

    async def end(self, exec_id: str, *, natural: bool) -> tuple[int | None, bool]:
        """Exit status of a command, and whether surely nothing of it runs any more."""
        if natural:
            exit_code = await self._exit_code(exec_id)
            # 137 may be the whole container's end, of which the counters tell a little later
            if exit_code not in (None, KILLED) and await self._quiet(0.03):
                return exit_code, True
            return exit_code, await self._kill_all()
        # an exec that has no status has yet to start: it would survive a kill that comes too early
        certain = await self._kill_all() and await self._exit_code(exec_id) is not None
        return KILLED, certain

    async def _exit_code(self, exec_id: str) -> int | None:
        """None when the engine does not say within 2 s."""
        for pause in (0.0, 0.01, 0.05, 0.2, 0.5, 1.2):
            await asyncio.sleep(pause)
            try:
                state = await self.engine.call("exec_inspect", exec_id)
            except Gone:
                return None
            if not state["Running"]:
                return state["ExitCode"] if isinstance(state["ExitCode"], int) else None
        return None

    async def _quiet(self, seconds: float) -> bool:
        """Whether surely nothing runs but what the container itself needs, asked for so long.

        The engine reaps a command a little after its end: on a busy machine, quite a little.
        """
        here = self.container
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            count = here.processes()
            if count is None or here.idle is None or count < here.idle:
                return False  # nobody knows, or the container itself is dying
            if count == here.idle:
                return True
            if loop.time() > deadline:
                return False
            await asyncio.sleep(0.005)

    async def _kill_all(self) -> bool:
        """Kill what the sandbox's user runs in the container. False when that is not certain to have worked."""
        for _ in range(2):
            try:
                async with asyncio.timeout(_KILL_SECONDS):
                    await self._kill_once()
            except (SandboxError, TimeoutError):
                return False
            if await self._quiet(1.0):
                return True
        return "pids" not in self.container.groups

    async def _kill_once(self) -> None:
        exec_id = await self.prepare(("bash", "-c", KILL_ALL), {}, stdin=False)
        stream = await self.engine.attach(exec_id, b"")
        try:
            await stream.discard()
        finally:
            await stream.close()
