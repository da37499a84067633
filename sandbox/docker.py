"""The Docker backend: one hardened container for a sandbox, every command an exec in it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox import container, guarantees, mountpoints
from sandbox.base import WORKDIR, Guarantee, Policy, Result
from sandbox.command import prepare
from sandbox.engine import Engine, ExecStream, Gone
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.output import HeadTail
from sandbox.watch import FULL, Call, DiskWatch, Stop, last_words, watch
from sandbox.workspace import Workspace

__all__ = ["Docker"]

_KILLED = 128 + signal.SIGKILL
_KILL_SECONDS = 3.0
_PROBE_SECONDS = 30.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Ending:
    stop: Stop
    exit: int | None
    lost: bool


class Docker:
    """Runs commands in one container. /tmp and the home directory are in memory and last until `reset`.

    `image` needs bash and sleep; its own environment and PATH apply. `host` is the engine's address (default:
    DOCKER_HOST, else the usual socket); the engine must be on this machine.
    """

    name = "docker"

    def __init__(self, workspace: Workspace, policy: Policy, *, image: str, host: str | None = None) -> None:
        self.workspace = workspace
        self._policy = policy
        self._image = image
        self._host = host
        self._lock = asyncio.Lock()
        self._disk = DiskWatch(workspace.root, policy.workspace_mb, policy.workspace_files)
        self._engine: Engine | None = None
        self._info: dict[str, Any] = {}
        self._container: container.Container | None = None
        self._finishing: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Make the container and prove with one command that it works. Raises SandboxUnavailable."""
        uid = self.workspace.uid
        if uid == 0 or os.getuid() not in (0, uid):
            raise SandboxUnavailable(f"commands cannot run as user {uid}", hint="copy the repository anew")
        self._engine = await Engine.connect(self._host)
        try:
            await self._check_engine(self._engine)
            await container.reap(self._engine)
            await self._disk.start()
            self._container = await self._create()
            await self._probe()
        except SandboxUnavailable:
            await self.close()
            raise
        except SandboxError as error:
            await self.close()
            raise SandboxUnavailable(f"no container can be made here: {error}", hint=error.hint) from error
        except BaseException:
            await self._shielded(self.close())
            raise

    async def run(
        self,
        script: str,
        *,
        timeout: float,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        cap: int | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Result:
        """See Sandbox.run. One command at a time: a second one waits."""
        async with self._lock:
            self._running()
            mountpoints.make_passable(self.workspace.root)
            full = await self._disk.full()
            command = prepare(
                script,
                cwd=cwd,
                env=env or {},
                stdin=stdin,
                file_mb=0 if full else self._policy.file_mb,
                processes=None,
                sweep=True,
            )
            sink = HeadTail(self._policy.output_bytes if cap is None else cap)
            call = Call(command, sink, timeout, on_output)
            if full:
                call.say(FULL)
            return await self._result(call, full)

    async def reset(self) -> None:
        """See Sandbox.reset: a new container around the same workspace."""
        async with self._lock:
            self._running()
            await self._recreate()

    async def close(self) -> None:
        """See Sandbox.close. A command that is still running is killed with its container."""
        engine, self._engine = self._engine, None
        old, self._container = self._container, None
        if engine is not None:
            if old is not None:
                await container.remove(engine, old.id)
            engine.close()

    def guarantees(self) -> list[Guarantee]:
        """See Sandbox.guarantees."""
        _, here = self._running()
        return guarantees.for_docker(self._policy, self._info, counts_oom=here.memory is not None)

    def _running(self) -> tuple[Engine, container.Container]:
        if self._engine is None or self._container is None:
            raise SandboxError("the sandbox is not running", hint="start it first")
        return self._engine, self._container

    # Preparing

    async def _check_engine(self, engine: Engine) -> None:
        self._info = await engine.call("info")
        if self._info.get("OSType", "linux") != "linux":
            raise SandboxUnavailable(
                "this Docker engine runs no Linux containers", hint="switch it to Linux containers"
            )
        if any("name=rootless" in option for option in container.security_options(self._info)):
            raise SandboxUnavailable(
                "this Docker engine is rootless: it maps user ids, so commands could not write the workspace",
                hint="use --sandbox bubblewrap, which needs no root either",
            )
        try:
            await engine.call("inspect_image", self._image)
        except Gone as error:
            raise SandboxUnavailable(
                f"the image {self._image} is not on this machine",
                hint=f"docker pull {self._image}, or build one with sandbox/images/build.sh",
            ) from error

    async def _create(self) -> container.Container:
        if self._engine is None:
            raise SandboxError("the sandbox was closed")
        uid, gid = self._user
        root = self.workspace.root
        return await container.create(self._engine, self._info, self._image, self._policy, root, uid, gid)

    @property
    def _user(self) -> tuple[int, int]:
        return self.workspace.uid, self.workspace.root.stat().st_gid

    async def _probe(self) -> None:
        command = prepare("test -w .", cwd=".", env={}, stdin=b"", file_mb=1, processes=None, sweep=True)
        sink = HeadTail(4096)
        ending = await self._execute(Call(command, sink, _PROBE_SECONDS, None), full=False)
        said = sink.ends()[0].decode("utf-8", "replace").strip()
        if ending.exit in (126, 127):
            raise SandboxUnavailable(
                f"the image {self._image} has no usable bash: {said}", hint="use an image with bash"
            )
        if ending.exit != 0:
            problem = said or f"the workspace cannot be written (status {ending.exit})"
            raise SandboxUnavailable(
                f"the container does not work: {problem}", hint="use --sandbox bubblewrap"
            )

    async def _recreate(self) -> None:
        engine, old = self._running()
        await container.remove(engine, old.id)
        self._container = await self._create()

    # Running

    async def _result(self, call: Call, full: bool) -> Result:
        began = time.monotonic()
        lost = False
        try:
            ending, oom = await self._counted(call, full)
        except Gone:  # it died between two commands
            await self._recreate()
            lost = True
            ending, oom = await self._counted(call, full)
        head, tail = call.sink.ends()
        return Result(
            exit=ending.exit,
            head=head,
            tail=tail,
            total_bytes=call.sink.total,
            seconds=time.monotonic() - began,
            timed_out=ending.stop == "timeout",
            oom=oom,
            killed="" if ending.stop == "timeout" else ending.stop,
            lost=lost or ending.lost,
        )

    async def _counted(self, call: Call, full: bool) -> tuple[_Ending, bool]:
        _, here = self._running()
        before = here.oom_kills()
        ending = await self._execute(call, full=full)
        after = here.oom_kills()
        if before is None:
            return ending, ending.exit == _KILLED and not ending.stop
        return ending, after is not None and after > before

    async def _execute(self, call: Call, *, full: bool) -> _Ending:
        """Run one command to its end. When this is cancelled, every process dies first."""

        async def too_much() -> bool:
            return not full and await self._disk.full(running=True)

        engine, _ = self._running()
        exec_id = await self._prepare_exec(
            call.command.argv, call.command.env, stdin=bool(call.command.stdin)
        )
        stop: Stop | None = None
        discarded: asyncio.Task[None] | None = None
        try:
            stream = await engine.attach(exec_id, call.command.stdin)
        except Gone:
            raise
        except BaseException:  # it may have started nevertheless
            await self._shielded(self._end(exec_id, natural=False))
            raise
        drained = asyncio.create_task(call.drain(stream.read, self._policy.flood_mb << 20))
        try:
            try:
                stop = await watch(drained, drained, timeout=call.timeout, too_much=too_much)
            finally:
                if drained.done():
                    # the engine kills nothing whose output it cannot get rid of
                    discarded = asyncio.create_task(_discard(stream))
                exit_code, lost = await self._shielded(self._end(exec_id, natural=stop == ""))
            if stop != "output":
                await last_words(drained)
        finally:
            drained.cancel()
            if discarded is not None:
                discarded.cancel()
            await stream.close()
        return _Ending(stop, exit_code, lost)

    async def _prepare_exec(self, argv: tuple[str, ...], env: Mapping[str, str], *, stdin: bool) -> str:
        engine, here = self._running()
        uid, gid = self._user
        made = await engine.call(
            "exec_create", here.id, list(argv), user=f"{uid}:{gid}", workdir=WORKDIR, environment=dict(env), stdin=stdin
        )  # fmt: skip
        return str(made["Id"])

    async def _end(self, exec_id: str, *, natural: bool) -> tuple[int | None, bool]:
        """Exit status of a command and whether the container was lost; afterwards nothing of it runs."""
        if natural:
            exit_code = await self._exit_code(exec_id)
            # 137 may be the whole container's end, of which the counters tell a little later
            if exit_code not in (None, _KILLED) and await self._quiet(0.03):
                return exit_code, False
            certain = await self._kill_all()
        else:
            exit_code = _KILLED
            # an exec that has no status has yet to start: it would survive a kill that comes too early
            certain = await self._kill_all() and await self._exit_code(exec_id) is not None
        if not certain:
            await self._recreate()
        return exit_code, not certain

    async def _exit_code(self, exec_id: str) -> int | None:
        """None when the engine does not say within 2 s."""
        engine, _ = self._running()
        for pause in (0.0, 0.01, 0.05, 0.2, 0.5, 1.2):
            await asyncio.sleep(pause)
            try:
                state = await engine.call("exec_inspect", exec_id)
            except Gone:
                return None
            if not state["Running"]:
                return state["ExitCode"] if isinstance(state["ExitCode"], int) else None
        return None

    async def _quiet(self, seconds: float) -> bool:
        """Whether surely nothing runs but what the container itself needs, asked for so long.

        The engine reaps a command a little after its end: on a busy machine, quite a little.
        """
        _, here = self._running()
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
        _, here = self._running()
        return here.pids is None

    async def _kill_once(self) -> None:
        engine, _ = self._running()
        stream = await engine.attach(
            await self._prepare_exec(("bash", "-c", "kill -9 -1"), {}, stdin=False), b""
        )
        try:
            await _discard(stream)
        finally:
            await stream.close()

    async def _shielded(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do `work` to its end even when the caller is cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
        return await asyncio.shield(task)


async def _discard(stream: ExecStream) -> None:
    while await stream.read():
        pass
