"""Who made a container or a control group, so that what a dead process left behind can be told and removed."""

from __future__ import annotations

import os
from pathlib import Path

_START_TIME = 19  # field 22 of /proc/PID/stat (proc(5)), counted after the parenthesised name


def _started(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    return stat.rpartition(b")")[2].split()[_START_TIME].decode()


def _here() -> tuple[str, str]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return boot, str(os.stat("/proc/self/ns/pid").st_ino)


def me() -> str:
    """A name for this process that no later one will bear: boot, process namespace, pid and start time."""
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
    return False
