"""A control group for one sandbox, where this user may make one: limits on memory, processes and CPU as a whole."""

from __future__ import annotations

import contextlib
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

from sandbox import owner
from sandbox.base import Policy

SELF = Path("/proc/self")
_PREFIX = "coder-"
_counter = itertools.count()
_PERIOD = 100_000  # microseconds


@dataclass(frozen=True, slots=True)
class Cgroup:
    """Directories that together limit one sandbox (one in cgroup v2, one for each controller in v1)."""

    directories: dict[str, Path]
    """By controller: "memory", "pids", "cpu"; only those that could be set."""

    @property
    def joins(self) -> tuple[Path, ...]:
        """Files into which a process writes 0 to enter."""
        return tuple(dict.fromkeys(path / "cgroup.procs" for path in self.directories.values()))

    def oom_kills(self) -> int:
        """How often the kernel has killed a process here for want of memory."""
        memory = self.directories.get("memory")
        return oom_kills(memory) or 0 if memory else 0

    def close(self) -> None:
        """Remove it. Its processes must have ended."""
        for path in set(self.directories.values()):
            with contextlib.suppress(OSError):
                path.rmdir()


def oom_kills(memory: Path) -> int | None:
    """The kernel's count of out-of-memory kills in a memory cgroup (v1 or v2), None when it cannot be read."""
    for name in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError):
            for line in (memory / name).read_text().splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value)
    return None


def quota(cpu: Path) -> float | None:
    """How many CPUs a cpu cgroup (v1 or v2) allows; None when it allows all, or cannot be read."""
    try:
        if (cpu / "cpu.max").exists():
            allowed, period = (cpu / "cpu.max").read_text().split()
        else:
            allowed, period = ((cpu / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(allowed) / int(period) if int(allowed) > 0 else None
    except (OSError, ValueError):
        return None


def throttled(cpu: Path) -> int:
    """How often a cpu cgroup was held back by its quota."""
    with contextlib.suppress(OSError):
        for line in (cpu / "cpu.stat").read_text().splitlines():
            if line.startswith("nr_throttled "):
                return int(line.split()[1])
    return 0


def mounts(proc: Path = SELF) -> dict[str, Path]:
    """Mount points of control groups: by v1 controller, and "" for v2."""
    found: dict[str, Path] = {}
    for line in (proc / "mounts").read_text().splitlines():
        _, point, kind, options, *_ = line.split(" ")
        if kind == "cgroup2":
            found.setdefault("", Path(point))
        elif kind == "cgroup":
            for option in options.split(","):
                found.setdefault(option, Path(point))
    return found


def membership(proc: Path = SELF) -> dict[str, str]:
    """The control group paths of a process (its directory in /proc): by v1 controller, and "" for v2."""
    found: dict[str, str] = {}
    for line in (proc / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def directory(controller: str, proc: Path = SELF) -> Path | None:
    """Where a process's control group for this controller lies; None when it isn't visible from here."""
    points, paths = mounts(proc), membership(proc)
    for key in (controller, ""):
        if key in points and key in paths:
            path = points[key] / paths[key].lstrip("/")
            return path if path.is_dir() else None
    return None


def _settings(policy: Policy, *, v2: bool) -> dict[str, list[tuple[str, str, bool]]]:
    """(file, value, required) by controller. Swap is optional: not every kernel accounts for it."""
    memory = str(policy.memory_mb << 20)
    quota = str(int(policy.cpus * _PERIOD))
    pids = [("pids.max", str(policy.processes + 8), True)]  # bubblewrap and the launching shell are in it too
    if v2:
        return {
            "memory": [("memory.max", memory, True), ("memory.swap.max", "0", False)],
            "pids": pids,
            "cpu": [("cpu.max", f"{quota} {_PERIOD}", True)],
        }
    return {
        "memory": [
            ("memory.limit_in_bytes", memory, True),
            ("memory.memsw.limit_in_bytes", memory, False),
        ],
        "pids": pids,
        "cpu": [("cpu.cfs_period_us", str(_PERIOD), True), ("cpu.cfs_quota_us", quota, True)],
    }


def _apply(path: Path, settings: list[tuple[str, str, bool]]) -> bool:
    for name, value, required in settings:
        try:
            (path / name).write_text(value)
        except OSError:
            if required:
                return False
    return True


def _reap(parent: Path) -> None:
    for path in parent.glob(_PREFIX + "*"):
        if owner.is_gone(path.name.removeprefix(_PREFIX).rpartition("-")[0]):
            with contextlib.suppress(OSError):
                path.rmdir()


def _make(parent: Path, name: str) -> Path | None:
    _reap(parent)
    try:
        (parent / name).mkdir(exist_ok=True)  # v1 controllers may share a hierarchy
    except OSError:
        return None
    return parent / name


def _create_v1(policy: Policy, name: str, proc: Path) -> dict[str, Path]:
    made: dict[str, Path] = {}
    for controller, settings in _settings(policy, v2=False).items():
        parent = directory(controller, proc)
        if parent is None or (path := _make(parent, name)) is None:
            continue
        if _apply(path, settings):
            made[controller] = path
        else:
            path.rmdir()
    return made


def _create_v2(policy: Policy, name: str, proc: Path) -> dict[str, Path]:
    """In the nearest ancestor that hands controllers down: a group with processes of its own cannot."""
    point, own = mounts(proc)[""], directory("", proc)
    while own is not None and own.is_relative_to(point):
        with contextlib.suppress(OSError):
            offered = set((own / "cgroup.subtree_control").read_text().split())
            wanted = {key: rows for key, rows in _settings(policy, v2=True).items() if key in offered}
            may_enter = os.access(own / "cgroup.procs", os.W_OK)
            if "memory" in wanted and may_enter and (path := _make(own, name)):
                made = {key: path for key, rows in wanted.items() if _apply(path, rows)}
                if made:
                    return made
                path.rmdir()
        own = own.parent
    return {}


def create(policy: Policy, proc: Path = SELF) -> Cgroup | None:
    """A control group with the policy's limits, or None where this user may not make one.

    `proc` is this process's directory in /proc.
    """
    name = f"{_PREFIX}{owner.me()}-{next(_counter)}"
    points = mounts(proc)
    made: dict[str, Path] = {}
    if "memory" in points:
        made = _create_v1(policy, name, proc)
    elif "" in points:
        made = _create_v2(policy, name, proc)
    return Cgroup(made) if made else None
