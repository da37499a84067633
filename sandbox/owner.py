"""Who made a container or a control group, so that what a dead process left behind can be told and removed."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

_START_TIME = 19  # field 22 of /proc/PID/stat (proc(5)), counted after the parenthesised name


def _started(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    return stat.rpartition(b")")[2].split()[_START_TIME].decode()


@cache
def _machine() -> str:
    """Tells machines apart that share a home directory, without saying which they are; empty when nothing can."""
    try:
        identity = Path("/etc/machine-id").read_text().strip()
    except OSError:
        return ""
    return (
        hashlib.sha256(f"coder {identity} {os.uname().nodename}".encode()).hexdigest()[:12]
        if identity
        else ""
    )


def _here() -> tuple[str, str]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{_machine()}_{boot}", str(os.stat("/proc/self/ns/pid").st_ino)


def me() -> str:
    """A name for this process that no later one will bear: machine and boot, process namespace, pid and start time."""
    pid = os.getpid()
    return ".".join((*_here(), str(pid), _started(pid)))


def is_gone(owner: str) -> bool:
    """Whether the process that called itself `owner` has surely ended; False when this process cannot tell."""
    match owner.split("."):
        case [boot, namespace, pid, started] if (boot, namespace) == _here() and pid.isdecimal():
            try:
                return _started(int(pid)) != started
            except (FileNotFoundError, ProcessLookupError):
                return True
        case [boot, _, _, _] if _machine() and boot.startswith(f"{_machine()}_"):
            return boot != _here()[0]  # this machine has been started anew since
    return False
