"""The Docker backend: one hardened container for a sandbox, every command an exec in it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sandbox import container, doors, guarantees, guard, host, mountpoints
from sandbox.base import Guarantee, Policy, Result
from sandbox.command import prepare
from sandbox.engine import Engine, Gone
from sandbox.environments.recipe import Environment
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.execs import KILLED, Execs
from sandbox.gate import Gate
from sandbox.kinds import Kind, Users, kind_of
from sandbox.network import ENVIRONMENT, Network
from sandbox.output import HeadTail
from sandbox.probes import examine, findings, kept
from sandbox.watch import FULL, Call, DiskWatch, Stop, last_words, watch
from sandbox.workspace import Workspace

__all__ = ["Docker"]

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
    runs = True

    def __init__(
        self,
        workspace: Workspace,
        policy: Policy,
        *,
        image: str,
        host: str | None = None,
        environment: Environment | None = None,
        network: Network | None = None,
        runtime: str = "",
    ) -> None:
        self.workspace = workspace
        self._environment = environment
        self._env: dict[str, str] = dict(environment.env) if environment else {}
        self._policy = policy
        self._image = image
        self._host = host
        self._network = network
        self._gate: Gate | None = None
        self._lock = asyncio.Lock()
        self._disk = DiskWatch(workspace.root, policy.workspace_mb, policy.workspace_files)
        self._engine: Engine | None = None
        self._runtime = runtime
        self._kind: Kind | None = None
        self._image_id = ""
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
            await asyncio.to_thread(
                self.workspace.make_links, self._environment.links if self._environment else {}
            )
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
                env={**self._env, **(ENVIRONMENT if self._network else {}), **(env or {})},
                stdin=stdin,
                file_mb=0 if full else self._policy.file_mb,
                sweep=True,
                **self._own_limits(),
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
        await self._dismiss_gate()
        engine, self._engine = self._engine, None
        old, self._container = self._container, None
        if engine is not None:
            if old is not None:
                await container.remove(engine, old.id)
            engine.close()

    def guarantees(self) -> list[Guarantee]:
        """See Sandbox.guarantees."""
        assert self._kind is not None
        _, here = self._running()
        counts = "memory" in here.groups
        promise = self._network.promise if self._network else ""
        stated = guarantees.for_docker(
            self._policy, self._kind, here.limits, counts_oom=counts, network=promise
        )
        return findings.confirmed(stated, kept.load(self.fingerprint()))

    def fingerprint(self) -> tuple[str, ...]:
        """See Probed.fingerprint. The image is in it: what it says of itself must count for no other."""
        kind = self._kind
        assert kind is not None
        engine = (kind.id, kind.name, kind.kernel, kind.groups, *sorted(kind.limits))
        return (
            *(self.name, *engine, self._runtime, self._image_id, self._users.command),
            *(examine.shape(self._policy), *examine.machine()),
        )

    def like(self, workspace: Workspace, policy: Policy) -> Docker:
        """See Probed.like: without its network, which is nothing that a container enforces."""
        return Docker(workspace, policy, image=self._image, host=self._host, runtime=self._runtime)

    def control_group(self, controller: str) -> Path | None:
        """See Probed.control_group."""
        return self._running()[1].groups.get(controller)

    @property
    def kernel(self) -> str:
        """See Probed.kernel."""
        return self._kind.kernel if self._kind else ""

    @property
    def container_id(self) -> str:
        """The running container, whose network others may share. Valid after start()."""
        return self._running()[1].id

    def _running(self) -> tuple[Engine, container.Container]:
        if self._engine is None or self._container is None:
            raise SandboxError("the sandbox is not running", hint="start it first")
        return self._engine, self._container

    # Preparing

    async def _check_engine(self, engine: Engine) -> None:
        info, version = await asyncio.gather(engine.call("info"), engine.call("version"))
        if info.get("OSType", "linux") != "linux":
            raise SandboxUnavailable(
                "this Docker engine runs no Linux containers", hint="switch it to Linux containers"
            )
        self._kind = kind_of(info, version)
        self._kind.check_runtime(self._runtime)
        try:
            image = await engine.call("inspect_image", self._image)
        except Gone as error:
            raise SandboxUnavailable(
                f"the image {self._image} is not on this machine",
                hint=f"docker pull {self._image}, or build one with sandbox/images/build.sh",
            ) from error
        self._image_id = str(image.get("Id"))
        if self._environment is not None and self._environment.path:
            self._env["PATH"] = ":".join((*self._environment.path, container.path_of(image)))

    async def _create(self) -> container.Container:
        if self._engine is None or self._kind is None:
            raise SandboxError("the sandbox was closed")
        order = container.Order(
            kind=self._kind,
            users=self._users,
            image=self._image,
            policy=self._policy,
            root=self.workspace.root,
            runtime=self._runtime,
            environment=self._environment,
        )
        if self._network is None:
            return await container.create(self._engine, order)
        made, self._gate = await doors.create_with_gate(
            self._engine, order, self._network, self.workspace.uid
        )
        return made

    async def _dismiss_gate(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None and self._network is not None:
            await self._network.dismiss(gate)

    @property
    def _users(self) -> Users:
        assert self._kind is not None
        return self._kind.users(self.workspace.uid, self.workspace.root.stat().st_gid)

    def _own_limits(self) -> dict[str, int]:
        """What a command limits for itself, since the engine cannot: an engine without root on control groups v1."""
        _, here = self._running()
        own = {}
        if "memory" not in here.limits:
            own["data_mb"] = self._policy.memory_mb
        if "processes" not in here.limits and self._kind is not None and self._kind.rootless:
            others = 0 if self._users.namespace else host.threads_of(self.workspace.uid, beside=here.pid)
            own["processes"] = self._policy.processes + others
        return own

    async def _probe(self) -> None:
        command = prepare(guard.SCRIPT, cwd=".", env={}, stdin=b"", file_mb=1, sweep=True)
        sink = HeadTail(4096)
        ending = await self._execute(Call(command, sink, _PROBE_SECONDS, None), full=False)
        said = sink.ends()[0].decode("utf-8", "replace").strip()
        if ending.exit in (126, 127):
            raise SandboxUnavailable(
                f"the image {self._image} has no usable bash: {said}", hint="use an image with bash"
            )
        refused = guard.refusal(ending.exit, said) or findings.broken(kept.load(self.fingerprint()))
        if refused or ending.exit != 0:
            raise SandboxUnavailable(
                f"the container does not work: {refused or said or f'status {ending.exit}'}",
                hint="use --sandbox bubblewrap",
            )

    async def _recreate(self) -> None:
        engine, old = self._running()
        await self._dismiss_gate()
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
            return ending, ending.exit == KILLED and not ending.stop
        return ending, after is not None and after > before

    async def _execute(self, call: Call, *, full: bool) -> _Ending:
        """Run one command to its end. When this is cancelled, every process dies first."""

        async def too_much() -> bool:
            return not full and await self._disk.full(running=True)

        engine, _ = self._running()
        command = call.command
        exec_id = await self._execs().prepare(command.argv, command.env, stdin=bool(command.stdin))
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
                    discarded = asyncio.create_task(stream.discard())
                exit_code, lost = await self._shielded(self._end(exec_id, natural=stop == ""))
            if stop != "output":
                await last_words(drained)
        finally:
            drained.cancel()
            if discarded is not None:
                discarded.cancel()
            await stream.close()
            if self._gate is not None:
                await self._gate.drop()
        return _Ending(stop, exit_code, lost)

    async def _end(self, exec_id: str, *, natural: bool) -> tuple[int | None, bool]:
        """Exit status of a command and whether the container was lost; afterwards nothing of it runs."""
        exit_code, certain = await self._execs().end(exec_id, natural=natural)
        if not certain:
            await self._recreate()
        return exit_code, not certain

    def _execs(self) -> Execs:
        return Execs(*self._running(), self._users.command)

    async def _shielded(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do `work` to its end even when the caller is cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
        return await asyncio.shield(task)
