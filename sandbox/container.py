"""How a sandbox container is made, what is read from its control groups, and how forgotten ones are removed."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import cgroups, owner, seccomp
from sandbox.base import WORKDIR, Policy
from sandbox.command import HOME, PATH
from sandbox.engine import CALL_SECONDS, Engine, Gone
from sandbox.environments.recipe import PLACE, Environment
from sandbox.errors import SandboxError

DOOR = "/run/coder"
"""Where a container sees the directory of a `doors.Door`."""
LIFETIME_SECONDS = 12 * 3600
_BESIDE_SECONDS = 60
_OWNER, _DEADLINE = "coder.owner", "coder.deadline"


@dataclass(frozen=True, slots=True)
class Container:
    """A running container. Counters are None where this machine cannot read them (an engine in a virtual machine)."""

    id: str
    memory: Path | None
    pids: Path | None
    idle: int | None
    """Processes when no command runs."""

    def oom_kills(self) -> int | None:
        """How often the kernel has killed one of its processes for want of memory."""
        return cgroups.oom_kills(self.memory) if self.memory else None

    def processes(self) -> int | None:
        return _count(self.pids) if self.pids else None


def _count(pids: Path) -> int | None:
    try:
        return int((pids / "pids.current").read_text())
    except (OSError, ValueError):
        return None


def security_options(info: Mapping[str, Any]) -> list[str]:
    """The engine's own list, e.g. "name=seccomp,profile=default"."""
    return list(info.get("SecurityOptions") or [])


def _security(info: Mapping[str, Any]) -> list[str]:
    filters = any("name=seccomp" in option for option in security_options(info))
    options = ["no-new-privileges:true"]
    if filters and seccomp.supported(info.get("Architecture") or platform.machine()):
        options.append(f"seccomp={seccomp.docker_profile()}")
    return options


def _limits(policy: Policy) -> dict[str, Any]:
    import docker.types

    memory = policy.memory_mb << 20
    ulimit = docker.types.Ulimit
    return {
        "pids_limit": policy.processes,
        "mem_limit": memory,
        "memswap_limit": memory,
        "nano_cpus": int(policy.cpus * 1e9),
        "shm_size": policy.tmpfs_mb[2] << 20,
        "ulimits": [ulimit(name="nofile", soft=4096, hard=4096), ulimit(name="core", soft=0, hard=0)],
    }


def _mounts(
    policy: Policy, root: Path, uid: int, gid: int, door: Path | None, environment: Environment | None
) -> dict[str, Any]:
    import docker.types

    tmp, home, _ = policy.tmpfs_mb
    common = "rw,exec,nosuid,nodev"
    mounts = [docker.types.Mount(WORKDIR, str(root), type="bind", propagation="rprivate")]
    if door is not None:
        mounts.append(_door(door))
    if environment is not None and environment.directory is not None:
        mounts.append(_environment(environment.directory, writable=environment.writable))
    return {
        "mounts": mounts,
        "tmpfs": {
            "/tmp": f"{common},size={tmp}m,mode=1777,nr_inodes=200k",  # noqa: S108 - the container's own
            HOME: f"{common},size={home}m,mode=0700,uid={uid},gid={gid},nr_inodes=200k",
        },
    }


def _door(door: Path) -> Any:
    import docker.types

    return docker.types.Mount(DOOR, str(door), type="bind", propagation="rprivate", read_only=True)


def _environment(directory: Path, *, writable: bool) -> Any:
    import docker.types

    source = str(directory.resolve())
    return docker.types.Mount(PLACE, source, type="bind", propagation="rprivate", read_only=not writable)


async def create(
    engine: Engine,
    info: Mapping[str, Any],
    image: str,
    policy: Policy,
    root: Path,
    uid: int,
    gid: int,
    *,
    door: Path | None = None,
    environment: Environment | None = None,
) -> Container:
    """Make and start a container around the workspace at `root`. Raises SandboxError; nothing is left then.

    `door` is the directory of a `doors.Door`.
    Its first process is root without capabilities, so that no command, which runs as `uid`, can kill it.
    """
    import docker.types

    host_config = await engine.call(
        "create_host_config",
        init=True,
        cap_drop=["ALL"],
        security_opt=_security(info),
        read_only=True,
        network_mode="none",
        ipc_mode="private",
        userns_mode="host" if any("name=userns" in option for option in security_options(info)) else None,
        log_config=docker.types.LogConfig(type="none"),
        **_limits(policy),
        **_mounts(policy, root, uid, gid, door, environment),
    )
    made = await engine.call(
        "create_container",
        image,
        entrypoint=["sleep", str(LIFETIME_SECONDS)],
        command=[],
        user="0:0",
        working_dir=WORKDIR,
        hostname="sandbox",
        labels={_OWNER: owner.me(), _DEADLINE: str(int(time.time()) + LIFETIME_SECONDS)},
        healthcheck={"test": ["NONE"]},
        stop_signal="SIGKILL",
        host_config=host_config,
        use_config_proxy=False,  # else docker-py copies proxies, with their passwords, from the user's settings
    )
    try:
        await engine.call("start", made["Id"])
        state = await engine.call("inspect_container", made["Id"])
    except BaseException:
        await asyncio.shield(remove(engine, made["Id"]))
        raise
    return _counters(made["Id"], state["State"]["Pid"])


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


async def run_beside(
    engine: Engine,
    info: Mapping[str, Any],
    container: str,
    image: str,
    user: str,
    door: Path,
    argv: Sequence[str],
) -> int:
    """Run a command line of `image` in the network of another container, to its end; returns its exit status.

    Raises SandboxError; nothing is left.
    """
    import docker.types

    host_config = await engine.call(
        "create_host_config",
        cap_drop=["ALL"],
        security_opt=_security(info),
        read_only=True,
        network_mode=f"container:{container}",
        pids_limit=16,
        mem_limit=256 << 20,
        log_config=docker.types.LogConfig(type="none"),
        mounts=[_door(door)],
    )
    labels = {_OWNER: owner.me(), _DEADLINE: str(int(time.time()) + _BESIDE_SECONDS)}
    made = await engine.call(
        "create_container", image, entrypoint=list(argv), command=[], user=user, labels=labels,
        healthcheck={"test": ["NONE"]}, host_config=host_config, use_config_proxy=False,
    )  # fmt: skip
    try:
        await engine.call("start", made["Id"])
        ended = await engine.call("wait", made["Id"])
        return int(ended["StatusCode"])
    finally:
        await asyncio.shield(remove(engine, made["Id"]))


def _counters(container: str, pid: int) -> Container:
    proc = Path(f"/proc/{pid}")
    try:
        paths = cgroups.membership(proc)
        # in another process namespace (an engine in a virtual machine, a socket given to a container) it is a stranger
        ours = any(container in path for path in paths.values())
        memory = cgroups.directory("memory", proc) if ours else None
        pids = cgroups.directory("pids", proc) if ours else None
    except OSError:
        memory = pids = None
    return Container(container, memory, pids, _count(pids) if pids else None)


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
