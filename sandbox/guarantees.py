"""What the backends say that they enforce: the same promises, in the same order, honest for this machine."""

from __future__ import annotations

from sandbox.base import Guarantee, Policy
from sandbox.kinds import Kind

NAMES = (
    "network", "filesystem", "host environment", "processes", "memory", "cpu", "disk", "privileges", "syscalls", "time"
)  # fmt: skip
"""What every backend makes a statement about."""

_FILESYSTEM = Guarantee(
    "filesystem", True, "of your files only a copy of the repository, and the Python in use"
)
_TIME = Guarantee("time", True, "every process is killed at the deadline")


def for_bubblewrap(
    policy: Policy, controllers: frozenset[str], *, filtered: bool, per_sandbox: bool, network: str = ""
) -> list[Guarantee]:
    """`controllers` of the control group, whether system calls are filtered, whether processes are counted apart.

    `network` is what a proxy promises, where there is one.
    """
    megabytes, count = policy.memory_mb, policy.processes
    in_group = "control group"
    processes = Guarantee("processes", True, f"at most {count} ({in_group} and RLIMIT_NPROC)")
    if "pids" not in controllers:
        scope = "RLIMIT_NPROC in a user namespace" if per_sandbox else "RLIMIT_NPROC above what you run now"
        processes = Guarantee("processes", True, f"at most {count} ({scope})")
    memory = Guarantee("memory", True, f"{megabytes} MB in all ({in_group})")
    if "memory" not in controllers:
        how = f"{megabytes} MB for each process (RLIMIT_DATA); the total is not limited: no control group may be made"
        memory = Guarantee("memory", False, how)
    cpu = Guarantee("cpu", True, f"{policy.cpus:g} CPUs ({in_group})")
    if "cpu" not in controllers:
        cpu = Guarantee("cpu", False, "not limited: no control group may be made")
    calls = Guarantee("syscalls", True, "allow-list (seccomp)")
    if not filtered:
        calls = Guarantee("syscalls", False, "no filter for this processor")
    return [
        _network(network),
        _FILESYSTEM,
        Guarantee("host environment", True, "a fixed environment; none of yours reaches even the launching process"),
        processes,
        memory,
        cpu,
        _disk(policy, f"its temporary files and home {policy.tmp_mb + policy.home_mb} MB, both watched"),
        Guarantee("privileges", True, "an ordinary user inside and outside, no capabilities, no set-uid, user namespace"),
        calls,
        _TIME,
    ]  # fmt: skip


def for_nothing() -> list[Guarantee]:
    """What is promised without a sandbox."""
    how = "not enforced: commands run as you, on this machine"
    return [Guarantee(name, False, how) for name in NAMES]


def for_docker(
    policy: Policy, kind: Kind, limits: frozenset[str], *, counts_oom: bool, network: str = ""
) -> list[Guarantee]:
    """`limits`: of processes, memory and cpu, what the engine says it limits; `counts_oom`: its counters can be read.

    `network` is what a proxy promises, where there is one.
    """
    group = f"cgroup v{kind.groups}"
    oom = "" if counts_oom else "; an out-of-memory kill is told by exit 137 alone"
    tmp, home, _ = policy.tmpfs_mb
    filtered = "allow-list (seccomp)" if kind.filtered else "this engine has no filter for this processor"
    user = "an ordinary user"
    if kind.rootless and not kind.podman:
        user = "root inside, which outside is you and not root"
    return [
        _network(network),
        _FILESYSTEM,
        Guarantee("host environment", True, "the image's environment and a fixed one; none of yours"),
        _processes(policy, kind, limits, group),
        _memory(policy, limits, f"{group}{oom}"),
        _cpu(policy, limits, group),
        _disk(policy, f"watched; /tmp {tmp} MB and home {home} MB in memory"),
        Guarantee("privileges", True, f"{user}, no capabilities, no new privileges, read-only image"),
        Guarantee("syscalls", kind.filtered, filtered),
        _TIME,
    ]


def _processes(policy: Policy, kind: Kind, limits: frozenset[str], group: str) -> Guarantee:
    count = policy.processes
    if "processes" in limits:
        return Guarantee("processes", True, f"at most {count} ({group})")
    if kind.rootless:
        scope = "in a user namespace" if kind.podman else "above what you run now"
        return Guarantee(
            "processes", True, f"at most {count} (RLIMIT_NPROC {scope}): the engine has no control groups"
        )
    return Guarantee("processes", False, "this engine cannot limit it")


def _memory(policy: Policy, limits: frozenset[str], group: str) -> Guarantee:
    if "memory" in limits:
        return Guarantee("memory", True, f"{policy.memory_mb} MB in all ({group})")
    how = f"{policy.memory_mb} MB for each process (RLIMIT_DATA); the total is not limited: the engine has no control groups"
    return Guarantee("memory", False, how)


def _cpu(policy: Policy, limits: frozenset[str], group: str) -> Guarantee:
    if "cpu" in limits:
        return Guarantee("cpu", True, f"{policy.cpus:g} CPUs ({group})")
    return Guarantee("cpu", False, "not limited: the engine has no control groups")


def _disk(policy: Policy, rest: str) -> Guarantee:
    return Guarantee("disk", True, f"the copy may grow by {policy.workspace_mb} MB, {rest}")


def _network(promise: str) -> Guarantee:
    own = "a network namespace of its own with nothing but loopback"
    return Guarantee("network", True, f"{own}; {promise}" if promise else own)
