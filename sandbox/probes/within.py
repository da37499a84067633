"""A program of its own, fed to `python3 -I -S -` inside a sandbox: tries what must not work, and says what happened.

A call of `main` is appended to it. Each section that it finishes is one line of JSON on standard output; the one about
memory comes last, since the kernel may end the program there.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_MEGABYTE = 1 << 20
_FORK_SECONDS = 4.0
_NUMBERS = {"x86_64": (250, 321, 323, 298), "aarch64": (219, 280, 282, 241)}
"""keyctl, bpf, userfaultfd, perf_event_open (asm/unistd.h); io_uring_setup is 425 everywhere."""
_FAMILIES = {"AF_VSOCK": 40, "AF_ALG": 38, "AF_PACKET": 17}
_NEW_USER = 0x10000000  # CLONE_NEWUSER, linux/sched.h
_SYSTEM = (
    "/",
    "/usr",
    "/etc",
    "/bin",
    "/lib",
    "/opt",
    "/root",
    "/proc/sys/kernel/core_pattern",
    "/proc/sysrq-trigger",
)


def network(given: dict[str, Any]) -> dict[str, Any]:
    """Which interfaces and routes there are, and which of the host's listeners can be reached."""
    reached = []
    for host, port in given["listeners"]:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.5):
            reached.append(f"{host}:{port}")
    with socket.socket(socket.AF_UNIX) as plain, contextlib.suppress(OSError):
        plain.connect("\0" + given["abstract"])
        reached.append("abstract socket")
    return {
        "interfaces": [name for _, name in socket.if_nameindex()],
        "routes": _lines("/proc/net/route")[1:],
        "reached": reached,
    }


def filesystem(given: dict[str, Any]) -> dict[str, Any]:
    """Which places of the system can be written, and which of the host's files can be seen."""
    written = []
    for place in _SYSTEM:
        path = os.path.join(place, "coder-probe") if os.path.isdir(place) else place
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_WRONLY | (os.O_CREAT if path != place else 0))
            os.close(fd)
            written.append(place)
    devices = [
        name for name in os.listdir("/dev") if os.path.exists(f"/dev/{name}") and _is_block(f"/dev/{name}")
    ]
    return {
        "written": written,
        "seen": [path for path in given["hidden"] if os.path.lexists(path)],
        "devices": devices,
    }


def environment(given: dict[str, Any]) -> dict[str, Any]:
    """Which processes have a variable of the host's in their environment or on their command line."""
    name = given["canary"].encode()
    found = []
    numbers = [entry for entry in os.listdir("/proc") if entry.isdigit()]
    for number in numbers:
        for kind in ("environ", "cmdline"):
            with contextlib.suppress(OSError):
                if name in Path(f"/proc/{number}/{kind}").read_bytes():
                    found.append(f"{number}/{kind}")
    return {"found": found, "processes": len(numbers)}


def privileges(given: dict[str, Any]) -> dict[str, Any]:
    """Who we are and what we may do. `setuid` is what a set-uid program of root's says that it is."""
    rows = dict(line.split(":", 1) for line in _lines("/proc/self/status") if ":" in line)
    names = ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
    outside = ""
    for line in _lines("/proc/self/uid_map"):
        inside, host, count = map(int, line.split())
        if inside <= os.getuid() < inside + count:
            outside = str(host + os.getuid() - inside)
    return {"uid": os.getuid(), "outside": outside, **{name: rows.get(name, "").strip() for name in names}}


def syscalls(given: dict[str, Any]) -> dict[str, Any]:
    """By name: the error with which a dangerous call was refused, or "answered"."""
    libc = ctypes.CDLL(None, use_errno=True)
    calls: dict[str, Callable[[], int]] = {
        "io_uring_setup": lambda: libc.syscall(425, 0, None),
        "unshare": lambda: libc.unshare(_NEW_USER),
        "ptrace": lambda: libc.ptrace(0, 0, None, None),
        "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
    }
    if numbers := _NUMBERS.get(platform.machine()):
        keyctl, bpf, userfaultfd, perf = numbers
        calls |= {
            "keyctl": lambda: libc.syscall(keyctl, 0, -3, 0),
            "bpf": lambda: libc.syscall(bpf, 0, None, 0),
            "userfaultfd": lambda: libc.syscall(userfaultfd, 0),
            "perf_event_open": lambda: libc.syscall(perf, None, 0, -1, -1, 0),
        }
    answers = {name: _in_a_child(call) for name, call in calls.items()}
    for name, family in _FAMILIES.items():
        answers[name] = _in_a_child(lambda family=family: libc.socket(family, 3 if family == 17 else 1, 0))  # type: ignore[misc]
    return {"answers": answers, "release": os.uname().release}


def processes(given: dict[str, Any]) -> dict[str, Any]:
    """How many children could be had at once, at most half more than allowed, and the error that ended it."""
    children: list[int] = []
    error, began = "", time.monotonic()
    try:
        while len(children) < given["processes"] * 3 // 2 + 16 and time.monotonic() - began < _FORK_SECONDS:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
    except OSError as problem:
        error = problem.strerror or str(problem)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)
    slow = time.monotonic() - began > _FORK_SECONDS
    return {"made": len(children), "error": error, "slow": slow}


def disk(given: dict[str, Any]) -> dict[str, Any]:
    """The errors that ended a file past the largest, and files past the size of /tmp; empty when nothing did."""
    large = _fill(["large"], given["file_mb"] + 4)
    names = [f"/tmp/coder-probe-{number}" for number in range(64)]  # noqa: S108
    tmp = _fill(names, given["tmp_mb"] + 8)
    return {"file": large, "tmp": tmp}


def cpu(given: dict[str, Any]) -> dict[str, Any]:
    """CPU seconds for each second that two busy processes had."""
    began, used = time.monotonic(), os.times()
    pids = [os.fork() for _ in range(2) if os.getpid() == given["self"]]  # a child makes none of its own
    if os.getpid() != given["self"]:
        while time.monotonic() - began < given["spin"]:
            pass
        os._exit(0)
    for pid in pids:
        os.waitpid(pid, 0)
    now = os.times()
    spent = now.children_user + now.children_system - used.children_user - used.children_system
    return {"share": spent / (time.monotonic() - began)}


def memory(given: dict[str, Any]) -> dict[str, Any]:
    """How many megabytes one process could have, and four together, where `limit` is the most for all."""
    limit = given["memory_mb"]
    return {"one": _held([limit * 3 // 2]), "together": _held([limit // 2] * 3)}


def _held(wanted: list[int]) -> int:
    """Megabytes that children held at one moment, each of which wants so many."""
    children = []
    for megabytes in wanted:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _hold(megabytes, writing)
        os.close(writing)
        children.append((pid, reading, megabytes))
    reached = []
    for pid, reading, megabytes in children:
        with open(reading, "rb") as pipe:
            if pipe.read(1):  # nothing: it was killed, or refused
                reached.append((pid, megabytes))
    held = sum(megabytes for pid, megabytes in reached if os.waitpid(pid, os.WNOHANG) == (0, 0))
    for pid, _, _ in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    return held


def _hold(megabytes: int, writing: int) -> None:
    kept = []
    try:
        for _ in range(megabytes):
            kept.append(b"\1" * _MEGABYTE)  # noqa: PERF401 - step by step, as memory is refused step by step
    except MemoryError:
        os._exit(1)
    os.write(writing, b"+")
    time.sleep(20)
    os._exit(0)


def _in_a_child(call: Callable[[], int]) -> str:
    """What `call` came to: the name of its error, or "answered". A call may end the process that makes it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        result = call()
        error = ctypes.get_errno()
        os.write(writing, b"answered" if result >= 0 else os.strerror(error).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with open(reading, "rb") as pipe:
        return pipe.read().decode() or "killed"


def _fill(names: list[str], megabytes: int) -> str:
    left = megabytes
    try:
        for name in names:
            with open(name, "wb", buffering=0) as file:
                for _ in range(min(left, 4) if len(names) > 1 else left):
                    if file.write(b"\1" * _MEGABYTE) < _MEGABYTE:
                        file.write(b"\1")  # what a limit cuts short fails the next time
                    left -= 1
            if left <= 0:
                break
    except OSError as problem:
        return problem.strerror or str(problem)
    finally:
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(name)
    return ""


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _is_block(path: str) -> bool:
    return stat.S_ISBLK(os.stat(path).st_mode)


SECTIONS = (network, filesystem, environment, privileges, syscalls, disk, cpu, processes, memory)


def reports(given: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for section in SECTIONS:
        try:
            yield section.__name__, section(given)
        except Exception as problem:  # noqa: BLE001 - the boundary: one section's trouble must not cost the others
            yield section.__name__, {"trouble": f"{type(problem).__name__}: {problem}"}


def main(given: dict[str, Any]) -> None:
    given["self"] = os.getpid()
    for part, found in reports(given):
        sys.stdout.write(json.dumps({"part": part, **found}) + "\n")
        sys.stdout.flush()
