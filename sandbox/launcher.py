"""A program of its own, run as `python -I -S launcher.py NAME=VALUE … -- bwrap …` before every command.

Sets limits, gives up root and becomes bubblewrap. As root it first shows every `bind=PATH` at `stage`/0,
`stage`/1, … in a mount namespace of its own: the sandbox uid may not be able to reach the originals.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

FAILED = 125
"""Exit status when the launcher itself failed; the reason is on the status descriptor."""

# linux/sched.h, linux/mount.h, linux/prctl.h
_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1
_SIGKILL, _SIGPIPE, _SIGXFSZ, _SIG_DFL = 9, 13, 25, None  # the signal module takes 5 ms to import


class LaunchError(Exception):
    """A step that failed, in words for the person at the terminal."""


def _call(what: str, result: int) -> None:
    if result != 0:
        raise LaunchError(f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(libc: ctypes.CDLL, source: str, target: str, kind: bytes | None, flags: int, data: bytes) -> None:
    result = libc.mount(os.fsencode(source), os.fsencode(target), kind, ctypes.c_ulong(flags), data)
    _call(f"cannot mount {source} for the sandbox", result)


def _stage(libc: ctypes.CDLL, stage: str, sources: list[str]) -> None:
    """Shows every source at stage/0, stage/1, … in a mount namespace of our own."""
    _call("cannot make a mount namespace", libc.unshare(_CLONE_NEWNS))
    _mount(libc, "none", "/", None, _MS_REC | _MS_PRIVATE, b"")
    # opened in this namespace (only its own mounts can be bound) and before the stage covers any of them
    opened = [(os.open(path, os.O_PATH | os.O_CLOEXEC), os.path.isdir(path)) for path in sources]
    _mount(libc, "tmpfs", stage, b"tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=0755,size=1m")
    for index, (fd, is_directory) in enumerate(opened):
        target = f"{stage}/{index}"
        if is_directory:
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
        _mount(libc, f"/proc/self/fd/{fd}", target, None, _MS_BIND | _MS_REC, b"")


def _limit(data_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if data_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, text.encode())
    os.close(fd)


def _volunteer_for_oom() -> None:
    """When the machine runs out of memory, the sandbox goes first."""
    with open("/proc/self/oom_score_adj") as file:
        if int(file.read()) >= 500:
            return
    _write("/proc/self/oom_score_adj", "500")


def _become(uid: int, gid: int) -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)


def _die_with(libc: ctypes.CDLL, parent: int) -> None:
    _call("prctl", libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        raise LaunchError("the program that started this one is gone")


def _launch(settings: dict[str, str], binds: list[str], cgroups: list[str], command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for path in cgroups:
        _write(path, "0")
    if binds:
        _stage(libc, settings["stage"], binds)
    _volunteer_for_oom()
    _limit(int(settings["data"]))
    _become(int(settings["uid"]), int(settings["gid"]))
    _die_with(libc, int(settings["parent"]))
    os.umask(0o022)
    # Python ignores these two, and ignoring is inherited
    for number in (_SIGPIPE, _SIGXFSZ):
        libc.signal(number, _SIG_DFL)
    os.execve(command[0], command, {})  # noqa: S606 - no shell is wanted


def main(argv: list[str]) -> None:
    split = argv.index("--")
    pairs = [option.partition("=")[::2] for option in argv[1:split]]
    settings = dict(pairs)
    binds = [value for name, value in pairs if name == "bind"]
    cgroups = [value for name, value in pairs if name == "cgroup"]
    try:
        _launch(settings, binds, cgroups, argv[split + 1 :])
    except (LaunchError, OSError, ValueError) as error:
        os.write(int(settings["status"]), f"launcher: {error}\n".encode())
        os._exit(FAILED)


if __name__ == "__main__":
    main(sys.argv)
