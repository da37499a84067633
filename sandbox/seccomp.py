"""One table of system calls, two forms: a BPF program for bubblewrap and a JSON profile for Docker.

The table (seccomp.json) allows by name; everything else is refused with EPERM, and calls newer than the
table with ENOSYS, so that a C library falls back to an older one.
"""

from __future__ import annotations

import errno
import json
import platform
import struct
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("seccomp.json")

# linux/audit.h
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_DOCKER_ARCH = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
_PR_SET_PDEATHSIG, _SIGKILL = 1, 9
_X32 = 0x40000000

# linux/bpf_common.h and linux/seccomp.h
_LOAD, _EQ, _GT, _GE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06
_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERRNO = 0x00050000
_NR, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data

FAMILIES = (1, 2, 10, 16)
"""Socket families that may be made: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK."""
NAMESPACES = 0x7E020000
"""Every CLONE_NEW* flag that clone() takes."""
TERMINAL_INJECTION = (0x5412, 0x541C)
"""ioctl requests that type into a terminal: TIOCSTI, TIOCLINUX."""
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""Linux, with or without short inodes and a 32-bit machine name, and the query."""


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text())
    return table


def supported(machine: str | None = None) -> bool:
    """Whether the table has numbers for this machine (`platform.machine()`)."""
    return (machine or platform.machine()) in _AUDIT_ARCH


def _numbers(group: str, machine: str) -> dict[str, int]:
    column = _table()["columns"].index(machine)
    return {name: row[column] for name, row in _table()[group].items() if row[column] is not None}


def _op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)


def _refuse(code: int) -> bytes:
    return _op(_RETURN, _ERRNO | code)


def _only_for(number: int, body: list[bytes]) -> list[bytes]:
    """`body`, which must end every path with a return, jumped over for every other system call."""
    return [_op(_EQ, number, 0, len(body)), *body]


def _argument(index: int) -> bytes:
    """Loads the low 32 bits: the kernel cuts all arguments judged here to that width."""
    return _op(_LOAD, _ARGS + 8 * index)


def _match(index: int, values: tuple[int, ...], found: bytes, otherwise: bytes) -> list[bytes]:
    tests = [_op(_EQ, value, len(values) - i) for i, value in enumerate(values)]
    return [_argument(index), *tests, otherwise, found]


def _keep_parent_death_signal() -> list[bytes]:
    """prctl, but PR_SET_PDEATHSIG with anything but SIGKILL does nothing and succeeds.

    The first process of bubblewrap's namespace dies by that signal when its parent does; a command, which may
    write that process's memory, must not be able to make it forget.
    """
    return [
        _argument(0),
        _op(_EQ, _PR_SET_PDEATHSIG, 0, 2),
        _argument(1),
        _op(_EQ, _SIGKILL, 0, 1),
        _op(_RETURN, _ALLOW),
        _op(_RETURN, _ERRNO),
    ]


def _conditional(numbers: dict[str, int]) -> list[bytes]:
    allow, refuse = _op(_RETURN, _ALLOW), _refuse(errno.EPERM)
    bodies = {
        "clone": [_argument(0), _op(_ANY_BIT, NAMESPACES, 1), allow, refuse],
        # its flags lie in memory, where a filter cannot look; without it libc uses clone()
        "clone3": [_refuse(errno.ENOSYS)],
        "ioctl": _match(1, TERMINAL_INJECTION, refuse, allow),
        "prctl": _keep_parent_death_signal(),
        "personality": _match(0, PERSONALITIES, allow, refuse),
        "socket": _match(0, FAMILIES, allow, refuse),
        "socketpair": _match(0, FAMILIES[:1], allow, refuse),
    }
    return [op for name, number in numbers.items() for op in _only_for(number, bodies[name])]


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def program(machine: str | None = None) -> bytes:
    """The filter as an array of struct sock_filter, as `bwrap --seccomp FD` reads it."""
    machine = machine or platform.machine()
    allowed = _numbers("allow", machine)
    conditional = _numbers("conditional", machine)
    newest = max(*allowed.values(), *conditional.values(), *_numbers("deny", machine).values())
    ops = [_op(_LOAD, _ARCH), _op(_EQ, _AUDIT_ARCH[machine], 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NR)]
    if machine == "x86_64":
        ops += [_op(_GE, _X32, 0, 1), _op(_RETURN, _KILL)]
    ops += [_op(_GT, newest, 0, 1), _refuse(errno.ENOSYS)]
    for low, high in _ranges(list(allowed.values())):
        ops += [_op(_GE, low, 0, 2), _op(_GT, high, 1, 0), _op(_RETURN, _ALLOW)]
    ops += [*_conditional(conditional), _refuse(errno.EPERM)]
    return b"".join(ops)


def _allow(name: str, index: int, value: int, op: str, second: int = 0) -> dict[str, Any]:
    argument = {"index": index, "value": value, "valueTwo": second, "op": op}
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument]}


def docker_profile() -> str:
    """The same policy as JSON for Docker's `--security-opt seccomp=`, for every machine in the table."""
    rules: list[dict[str, Any]] = [
        {"names": [*sorted(_table()["allow"]), "prctl"], "action": "SCMP_ACT_ALLOW"},
        _allow("clone", 0, NAMESPACES, "SCMP_CMP_MASKED_EQ"),
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
        *(_allow("socket", 0, family, "SCMP_CMP_EQ") for family in FAMILIES),
        _allow("socketpair", 0, FAMILIES[0], "SCMP_CMP_EQ"),
        *(_allow("personality", 0, value, "SCMP_CMP_EQ") for value in PERSONALITIES),
        # "the low 32 bits are not TIOCSTI", as "some bit differs": a plain NE compares 64 bits,
        # of which the kernel ignores the upper half
        *(
            _allow("ioctl", 1, 1 << bit, "SCMP_CMP_MASKED_EQ", ~TERMINAL_INJECTION[0] & (1 << bit))
            for bit in range(32)
        ),
    ]
    machines = [{"architecture": arch, "subArchitectures": []} for arch in _DOCKER_ARCH.values()]
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "archMap": machines, "syscalls": rules}
    return json.dumps(profile, separators=(",", ":"))
