"""How a sandbox container is made, what is read from its control groups, and how forgotten ones are removed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import cgroups, owner, seccomp
from sandbox.base import WORKDIR, Policy
from sandbox.command import HOME, PATH
from sandbox.engine import CALL_SECONDS, Engine, Gone
from sandbox.environments.recipe import PLACE, Environment
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.kinds import Kind, Users, limits_of

DOOR = "/run/coder"
"""Where a container sees the directory of a `doors.Door`."""
_BESIDE_SECONDS = 60
LIFETIME_SECONDS = 12 * 3600
_PODMAN_PROCESSES = 16_384
"""Of one user on the whole machine, where nothing smaller holds: its service lowers its own limit to kernel.pid_max."""
_KERNEL_THREADS = 256
"""What a runtime with a kernel of its own, such as gVisor's, needs beside the processes inside: it hangs without."""
_OWNER, _DEADLINE = "coder.owner", "coder.deadline"


@dataclass(frozen=True, slots=True)
class Container:
    """A running container. Counters are None where this machine cannot read them (an engine in a virtual machine)."""

    id: str
    pid: int
    """Of its first process, as the engine numbers it."""
    groups: dict[str, Path]
    """Its control groups, by controller."""
    idle: int | None
    """Processes when no command runs."""
    limits: frozenset[str]
    """Of processes, memory and cpu: what the engine says that it limits."""

    def oom_kills(self) -> int | None:
        """How often the kernel has killed one of its processes for want of memory."""
        memory = self.groups.get("memory")
        return cgroups.oom_kills(memory) if memory else None

    def processes(self) -> int | None:
        pids = self.groups.get("pids")
        return _count(pids) if pids else None


def _count(pids: Path) -> int | None:
    try:
        return int((pids / "pids.current").read_text())
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a container is to be. `runtime` is one of the engine's own, such as runsc; empty for its default."""

    kind: Kind
    users: Users
    image: str
    policy: Policy
    root: Path
    """The workspace on this machine."""
    runtime: str = ""
    door: Path | None = None
    """The directory of a `doors.Door`, to be shown inside."""
    environment: Environment | None = None
    """Its directory, where it has one, is shown at `PLACE`."""


def _limits(order: Order) -> dict[str, Any]:
    import docker.types

    policy = order.policy
    memory = policy.memory_mb << 20
    ulimit = docker.types.Ulimit
    ulimits = [ulimit(name="nofile", soft=4096, hard=4096), ulimit(name="core", soft=0, hard=0)]
    if order.kind.podman:
        # else Podman asks for more than runc, its capabilities dropped, may give
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        count = _PODMAN_PROCESSES if hard == resource.RLIM_INFINITY else min(hard, _PODMAN_PROCESSES)
        ulimits.append(ulimit(name="nproc", soft=count, hard=count))
    return {
        "pids_limit": policy.processes + (_KERNEL_THREADS if order.runtime else 0),
        "mem_limit": memory,
        "memswap_limit": memory,
        "nano_cpus": int(policy.cpus * 1e9),
        "shm_size": policy.tmpfs_mb[2] << 20,
        "ulimits": ulimits,
    }


def _mounts(order: Order) -> list[Any]:
    import docker.types

    mounts = [docker.types.Mount(WORKDIR, str(order.root), type="bind", propagation="rprivate")]
    if order.door is not None:
        mounts.append(_door(order.door))
    environment = order.environment
    if environment is not None and environment.directory is not None:
        mounts.append(_environment(environment.directory, writable=environment.writable))
    if environment is not None and environment.alias:
        mounts.append(
            docker.types.Mount(environment.alias, str(order.root), type="bind", propagation="rprivate")
        )
    return mounts


def _door(door: Path) -> Any:
    import docker.types

    return docker.types.Mount(DOOR, str(door), type="bind", propagation="rprivate", read_only=True)


def _environment(directory: Path, *, writable: bool) -> Any:
    import docker.types

    source = str(directory.resolve())
    return docker.types.Mount(PLACE, source, type="bind", propagation="rprivate", read_only=not writable)


def _tmpfs(policy: Policy, kind: Kind, users: Users) -> dict[str, str]:
    tmp, home, _ = policy.tmpfs_mb
    common = "rw,exec,nosuid,nodev"
    if not kind.podman:
        return {
            "/tmp": f"{common},size={tmp}m,mode=1777,nr_inodes=200k",  # noqa: S108 - the container's own
            HOME: f"{common},size={home}m,mode=0700,uid={users.uid},gid={users.gid},nr_inodes=200k",
        }
    # Podman knows none of these options, copies what the image has there, and makes /run and /var/tmp itself,
    # as large as the memory (pkg/util/mountOpts.go, pkg/specgen/generate/storage.go)
    plain = "rw,nosuid,nodev,notmpcopyup"
    return {
        "/tmp": f"{common},size={tmp}m,mode=1777,notmpcopyup",  # noqa: S108
        HOME: f"{common},size={home}m,mode=0700,notmpcopyup",
        "/var/tmp": f"{plain},size=1m,mode=1777",  # noqa: S108
        "/run": f"{plain},size=1m,mode=0755",
    }


def _first_process(kind: Kind) -> list[str]:
    """It waits, and reaps what commands leave behind, as docker-init does; Podman's init is a package of its own."""
    if not kind.podman:
        return ["sleep", str(LIFETIME_SECONDS)]
    # the home directory is root's here, whatever its options say (runc 1.1 gives it the image's mode)
    script = 'chmod 1777 "$1"; sleep "$2" & while kill -0 $!; do wait; done'
    return ["bash", "-c", script, "bash", HOME, str(LIFETIME_SECONDS)]


@contextlib.contextmanager
def _security(order: Order) -> Iterator[list[str]]:
    """Security options. Podman wants the filter in a file, which may go when the container has started."""
    options = ["no-new-privileges:true"]
    if not order.kind.filtered:
        yield options
    elif not order.kind.podman:
        yield [*options, f"seccomp={seccomp.docker_profile()}"]
    else:
        with tempfile.NamedTemporaryFile("w", prefix="seccomp-", dir=order.root.parent) as file:
            file.write(seccomp.docker_profile())
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            yield [*options, f"seccomp={file.name}"]


async def create(engine: Engine, order: Order) -> Container:
    """Make and start a container around the workspace. Raises SandboxError; nothing is left then.

    Its first process is another user than its commands, so that none of them can kill it.
    """
    with _security(order) as security:
        made = await engine.call("create_container", **await _settings(engine, order, security))
        try:
            await engine.call("start", made["Id"])
            state = await engine.call("inspect_container", made["Id"])
            _check(state, order)
        except BaseException:
            await asyncio.shield(remove(engine, made["Id"]))
            raise
    groups = _groups(made["Id"], state)
    idle = await _idle(groups["pids"]) if "pids" in groups else None
    return Container(made["Id"], state["State"]["Pid"], groups, idle, limits_of(state, order.kind))


async def _settings(engine: Engine, order: Order, security: list[str]) -> dict[str, Any]:
    import docker.types

    kind, users = order.kind, order.users
    host_config = await engine.call(
        "create_host_config",
        init=not kind.podman,
        cap_drop=["ALL"],
        security_opt=security,
        read_only=True,
        network_mode="none",
        ipc_mode="private",
        runtime=order.runtime or None,
        log_config=docker.types.LogConfig(type="none"),
        mounts=_mounts(order),
        tmpfs=_tmpfs(order.policy, kind, users),
        **_limits(order),
    )
    if users.namespace:
        host_config["UsernsMode"] = users.namespace  # docker-py lets nothing but "host" pass
    return {
        "image": order.image,
        "entrypoint": _first_process(kind),
        "command": [],
        "user": users.first,
        "working_dir": "/",  # the workspace is its commands' alone: the first process may not even enter it
        "hostname": "sandbox",
        "labels": {_OWNER: owner.me(), _DEADLINE: str(int(time.time()) + LIFETIME_SECONDS)},
        "healthcheck": {"test": ["NONE"]},
        "stop_signal": "SIGKILL",
        "host_config": host_config,
        "use_config_proxy": False,  # else docker-py copies proxies, with their passwords, from the user's settings
    }


def _check(state: Mapping[str, Any], order: Order) -> None:
    """An engine that leaves out what it was told is not believed. Raises SandboxUnavailable."""
    settings = state.get("HostConfig") or {}
    runtime = state.get("OCIRuntime") or settings.get("Runtime")  # Podman's own field, Docker's
    if order.runtime and runtime != order.runtime:
        raise SandboxUnavailable(
            f"{order.kind.name} used the runtime {runtime!r} instead of {order.runtime!r}",
            hint="use another engine, or none of your own choice",
        )
    if (
        settings.get("NetworkMode") != "none"
        or settings.get("Privileged")
        or not settings.get("ReadonlyRootfs")
    ):
        raise SandboxUnavailable(f"{order.kind.name} made another container than it was told to")


async def run_inside(engine: Engine, container: str, user: str, argv: Sequence[str]) -> int | None:
    """Run a command line in a container to its end; its exit status, 127 when it cannot be run, None when unknown.

    Raises SandboxError. Its output is thrown away.
    """
    made = await engine.call("exec_create", container, list(argv), user=user, workdir="/", stdin=False)
    try:
        stream = await engine.attach(str(made["Id"]), b"")
    except Gone:
        return 127
    try:
        async with asyncio.timeout(CALL_SECONDS):
            while await stream.read():
                pass
    except TimeoutError:
        return None
    finally:
        await stream.close()
    for _ in range(20):
        state = await engine.call("exec_inspect", made["Id"])
        if not state["Running"]:
            return state["ExitCode"] if isinstance(state["ExitCode"], int) else None
        await asyncio.sleep(0.05)
    return None


async def run_beside(engine: Engine, order: Order, container: str, image: str, argv: Sequence[str]) -> int:
    """Run a command line of `image`, with the door of `order`, in the network of the container made by it, to its end.

    Returns its exit status. Raises SandboxError; nothing is left.
    """
    import docker.types

    assert order.door is not None
    labels = {_OWNER: owner.me(), _DEADLINE: str(int(time.time()) + _BESIDE_SECONDS)}
    with _security(order) as security:
        host_config = await engine.call(
            "create_host_config",
            cap_drop=["ALL"],
            security_opt=security,
            read_only=True,
            network_mode=f"container:{container}",
            pids_limit=16,
            mem_limit=256 << 20,
            log_config=docker.types.LogConfig(type="none"),
            mounts=[_door(order.door)],
        )
        if order.users.namespace:
            host_config["UsernsMode"] = order.users.namespace
        made = await engine.call(
            "create_container", image, entrypoint=list(argv), command=[], user=order.users.command, labels=labels,
            healthcheck={"test": ["NONE"]}, host_config=host_config, use_config_proxy=False,
        )  # fmt: skip
        try:
            await engine.call("start", made["Id"])
            ended = await engine.call("wait", made["Id"])
            return int(ended["StatusCode"])
        finally:
            await asyncio.shield(remove(engine, made["Id"]))


def _groups(container: str, state: Mapping[str, Any]) -> dict[str, Path]:
    """The control groups of a new container, where this machine can see them."""
    proc = Path(f"/proc/{state['State']['Pid']}")
    try:
        # in another process namespace (an engine in a virtual machine, a socket given to a container) it is a stranger
        if any(container in path for path in cgroups.membership(proc).values()):
            found = {name: cgroups.directory(name, proc) for name in ("memory", "pids", "cpu")}
            return {name: path for name, path in found.items() if path is not None}
    except OSError:
        pass
    return {}


async def _idle(pids: Path) -> int | None:
    """How many processes there are when no command runs: two, once the first has started the one that it waits for."""
    count = _count(pids)
    for _ in range(50):
        if count is None or count >= 2:
            break
        await asyncio.sleep(0.01)
        count = _count(pids)
    return count


async def remove(engine: Engine, container: str) -> None:
    """Kill and remove it; what fails is left to `reap`."""
    with contextlib.suppress(SandboxError):
        await engine.call("remove_container", container, force=True, v=True)


async def reap(engine: Engine) -> None:
    """Remove the containers of owners that are dead, and those past their time."""
    found = await engine.call("containers", all=True, filters={"label": [_OWNER]})
    for entry in found:
        labels = entry.get("Labels") or {}
        late = float(labels.get(_DEADLINE) or "inf") < time.time()
        if late or owner.is_gone(labels.get(_OWNER, "")):
            await remove(engine, entry["Id"])


def path_of(image: Mapping[str, Any]) -> str:
    """The PATH that the image sets."""
    variables = (image.get("Config") or {}).get("Env") or []
    return next((entry.partition("=")[2] for entry in variables if entry.startswith("PATH=")), PATH)


async def reap_containers() -> None:
    """`reap` on the engine that answers here; nothing where none does."""
    with contextlib.suppress(SandboxError):
        engine = await Engine.connect(None)
        try:
            await reap(engine)
        finally:
            engine.close()
