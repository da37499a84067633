"""What kind of engine answers, Docker or Podman, with root or without, and who runs what in its containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox import seccomp
from sandbox.errors import SandboxUnavailable

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Podman names processors as Go does."""


@dataclass(frozen=True, slots=True)
class Users:
    """Who is who inside. The first process must be out of the reach of commands: `kill -9 -1` would end it."""

    first: str
    uid: int
    gid: int
    namespace: str = ""
    """The engine's word for the mapping of user ids; empty for its own default."""

    @property
    def command(self) -> str:
        return f"{self.uid}:{self.gid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One engine as its own answers describe it."""

    id: str
    """What tells it from other engines on this machine."""
    version: str
    kernel: str
    podman: bool
    rootless: bool
    remapped: bool
    """dockerd --userns-remap: the ids inside are others outside, unless a container opts out."""
    filters: bool
    """Whether it filters system calls."""
    machine: str
    groups: str
    """The version of control groups, "1" or "2"."""
    limits: frozenset[str]
    """What it says that it can limit: of processes, memory and cpu."""
    runtimes: frozenset[str]

    @property
    def name(self) -> str:
        rootless = "rootless " if self.rootless else ""
        return f"{rootless}{'Podman' if self.podman else 'Docker'} {self.version}".rstrip()

    @property
    def filtered(self) -> bool:
        return self.filters and seccomp.supported(self.machine)

    def users(self, uid: int, gid: int) -> Users:
        """Who runs commands, so that they can write a workspace of `uid` and are nobody else outside."""
        if self.rootless and self.podman:
            # everybody else inside, root too, is one of the user's subordinate ids outside
            return Users("0:0", uid, gid, "keep-id")
        if self.rootless:
            # Docker maps its user to root inside and offers no other way to write that user's files; without
            # capabilities this root can do nothing that the user could not do
            return Users("1:1", 0, 0)
        return Users("0:0", uid, gid, "host" if self.remapped or self.podman else "")

    def check_runtime(self, runtime: str) -> None:
        """Raises SandboxUnavailable for a runtime that the engine does not know."""
        if runtime and runtime not in self.runtimes:
            known = ", ".join(sorted(self.runtimes)) or "none"
            raise SandboxUnavailable(
                f"{self.name} has no runtime {runtime!r}",
                hint=f"it has {known}; for Docker add it to /etc/docker/daemon.json and restart the engine",
            )


_LIMITS = {"processes": "PidsLimit", "memory": "MemoryLimit", "cpu": "CpuCfsQuota"}


def kind_of(info: Mapping[str, Any], version: Mapping[str, Any]) -> Kind:
    """From the answers to /info and /version."""
    options = " ".join(info.get("SecurityOptions") or ())
    parts = [str(part.get("Name", "")) for part in version.get("Components") or ()]
    machine = str(info.get("Architecture") or "")
    podman = any(part.startswith("Podman") for part in parts)
    return Kind(
        # Podman makes a new ID for every answer
        id=str(info.get("DockerRootDir" if podman else "ID") or ""),
        version=str(info.get("ServerVersion") or ""),
        kernel=str(info.get("KernelVersion") or ""),
        podman=podman,
        # Docker lists it among its security options, Podman 4 has a field of its own
        rootless="name=rootless" in options or bool(info.get("Rootless")),
        remapped="name=userns" in options,
        filters="name=seccomp" in options,
        machine=_MACHINES.get(machine, machine),
        groups=str(info.get("CgroupVersion") or "1"),
        limits=frozenset(name for name, key in _LIMITS.items() if info.get(key)),
        runtimes=frozenset(info.get("Runtimes") or ()),
    )


def limits_of(container: Mapping[str, Any], kind: Kind) -> frozenset[str]:
    """What is really limited, as far as the engine admits: it drops what it cannot do and says so only here."""
    settings = container.get("HostConfig") or {}
    given = {"processes": "PidsLimit", "memory": "Memory", "cpu": "NanoCpus"}
    # -1 and 0 are "no limit"; Podman without root answers that it can limit, and then does not
    return frozenset(name for name in kind.limits if (settings.get(given[name]) or 0) > 0)
