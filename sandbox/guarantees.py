"""What the backends say that they enforce: the same promises, in the same order, honest for this machine."""

from __future__ import annotations

from typing import Any

from sandbox.base import Guarantee, Policy

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
        _disk(policy, f"its temporary files and home {policy.tmp_mb + policy.home_mb} MB, both checked each second"),
        Guarantee("privileges", True, "an ordinary user inside and outside, no capabilities, no set-uid, user namespace"),
        calls,
        _TIME,
    ]  # fmt: skip


def for_nothing() -> list[Guarantee]:
    """What is promised without a sandbox."""
    how = "not enforced: commands run as you, on this machine"
    return [Guarantee(name, False, how) for name in NAMES]


def for_docker(
    policy: Policy, engine: dict[str, Any], *, counts_oom: bool, network: str = ""
) -> list[Guarantee]:
    """`engine` is what Docker's info call returned; `counts_oom`: the container's counters can be read.

    `network` is what a proxy promises, where there is one.
    """
    options = " ".join(engine.get("SecurityOptions") or ())
    group = f"cgroup v{engine.get('CgroupVersion') or '1'}"
    missing = "this engine cannot limit it"
    oom = "" if counts_oom else "; an out-of-memory kill is told by exit 137 alone"
    limits = {
        "processes": ("PidsLimit", f"at most {policy.processes} ({group})"),
        "memory": ("MemoryLimit", f"{policy.memory_mb} MB in all ({group}){oom}"),
        "cpu": ("CpuCfsQuota", f"{policy.cpus:g} CPUs ({group})"),
    }
    limited = [
        Guarantee(name, bool(engine.get(key)), how if engine.get(key) else missing)
        for name, (key, how) in limits.items()
    ]
    tmp, home, _ = policy.tmpfs_mb
    filtered = "name=seccomp" in options
    return [
        _network(network),
        _FILESYSTEM,
        Guarantee("host environment", True, "the image's environment and a fixed one; none of yours"),
        *limited,
        _disk(policy, f"checked each second; /tmp {tmp} MB and home {home} MB in memory"),
        Guarantee(
            "privileges", True, "an ordinary user, no capabilities, no new privileges, read-only image"
        ),
        Guarantee("syscalls", filtered, "allow-list (seccomp)" if filtered else "this engine has no seccomp"),
        _TIME,
    ]


def _disk(policy: Policy, rest: str) -> Guarantee:
    return Guarantee("disk", True, f"the copy may grow by {policy.workspace_mb} MB, {rest}")


def _network(promise: str) -> Guarantee:
    own = "a network namespace of its own with nothing but loopback"
    return Guarantee("network", True, f"{own}; {promise}" if promise else own)
