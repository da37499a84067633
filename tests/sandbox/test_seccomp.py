"""The system call filter, judged by an interpreter of its program and as the kernel applies it."""

from __future__ import annotations

import errno
import json
import struct
from pathlib import Path

import pytest

from sandbox import seccomp
from tests.sandboxes import BACKENDS, opened, text

MACHINES = ("x86_64", "aarch64")
ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003}
ALLOW, KILL = 0x7FFF0000, 0x80000000
TABLE = json.loads(seccomp.TABLE.read_text())


def refused(code: int) -> int:
    return 0x00050000 | code


def number(name: str, machine: str) -> int:
    row = next(TABLE[group][name] for group in ("allow", "conditional", "deny") if name in TABLE[group])
    return int(row[MACHINES.index(machine)])


def verdict(machine: str, nr: int, *args: int, arch: str = "") -> int:
    """Runs the classic BPF program over one system call, as seccomp(2) describes it."""
    data = struct.pack("<IIQ6Q", nr, ARCHES[arch or machine], 0, *args, *[0] * (6 - len(args)))
    program = list(struct.iter_unpack("<HBBI", seccomp.program(machine)))
    at = accumulator = 0
    while True:
        code, yes, no, value = program[at]
        at += 1
        match code:
            case 0x20:
                accumulator = struct.unpack_from("<I", data, value)[0]
            case 0x06:
                return int(value)
            case 0x15:
                at += yes if accumulator == value else no
            case 0x25:
                at += yes if accumulator > value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x45:
                at += yes if accumulator & value else no
            case _:
                pytest.fail(f"an instruction that the filter does not use: {code:#x}")


@pytest.mark.parametrize("machine", MACHINES)
def test_every_call_of_the_table_is_judged_as_it_says(machine: str) -> None:
    column = MACHINES.index(machine)
    for name, row in TABLE["allow"].items():
        if row[column] is not None:
            assert verdict(machine, row[column]) == ALLOW, name
    for name, row in TABLE["deny"].items():
        if row[column] is not None:
            assert verdict(machine, row[column]) == refused(errno.EPERM), name


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_newer_than_the_table_do_not_exist(machine: str) -> None:
    newest = max(row[0] for group in ("allow", "deny") for row in TABLE[group].values() if row[0] is not None)
    assert verdict(machine, newest + 1) == refused(errno.ENOSYS)
    assert verdict(machine, 5000) == refused(errno.ENOSYS)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("socket", (1,), ALLOW),
        ("socket", (2,), ALLOW),
        ("socket", (10,), ALLOW),
        ("socket", (16,), ALLOW),
        ("socket", (17,), refused(errno.EPERM)),  # AF_PACKET
        ("socket", (38,), refused(errno.EPERM)),  # AF_ALG
        ("socket", (40,), refused(errno.EPERM)),  # AF_VSOCK
        ("socket", ((1 << 32) | 40,), refused(errno.EPERM)),  # the kernel ignores the upper half
        ("socketpair", (1,), ALLOW),
        ("socketpair", (2,), refused(errno.EPERM)),
        ("clone", (0x003D0F00,), ALLOW),  # a thread
        ("clone", (0x11,), ALLOW),  # fork
        ("clone", (0x10000011,), refused(errno.EPERM)),  # CLONE_NEWUSER
        ("clone", (0x00020000,), refused(errno.EPERM)),  # CLONE_NEWNS
        ("clone3", (0,), refused(errno.ENOSYS)),
        ("ioctl", (0, 0x5401), ALLOW),  # TCGETS
        ("ioctl", (0, 0x5412), refused(errno.EPERM)),  # TIOCSTI
        ("ioctl", (0, (7 << 32) | 0x5412), refused(errno.EPERM)),
        ("ioctl", (0, 0x541C), refused(errno.EPERM)),  # TIOCLINUX
        ("personality", (0xFFFFFFFF,), ALLOW),
        ("personality", (0x0040000,), refused(errno.EPERM)),  # ADDR_NO_RANDOMIZE
        ("prctl", (15,), ALLOW),  # PR_SET_NAME
        ("prctl", (1, 9), ALLOW),
        ("prctl", (1, 0), refused(0)),  # claims success
    ],
)
def test_arguments_are_looked_at(machine: str, name: str, args: tuple[int, ...], expected: int) -> None:
    assert verdict(machine, number(name, machine), *args) == expected


def test_other_calling_conventions_are_fatal() -> None:
    assert verdict("x86_64", 1, arch="i386") == KILL
    assert verdict("x86_64", 1, arch="aarch64") == KILL
    assert verdict("x86_64", 0x40000001) == KILL  # x32
    assert verdict("aarch64", 64, arch="x86_64") == KILL


def test_the_table_has_well_known_numbers() -> None:
    """From arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux."""
    known = {
        "read": [0, 63],
        "execve": [59, 221],
        "openat": [257, 56],
        "io_uring_setup": [425, 425],
        "bpf": [321, 280],
    }
    rows = TABLE["allow"] | TABLE["conditional"] | TABLE["deny"]
    assert {name: rows[name] for name in known} == known
    for column in range(2):
        numbers = [row[column] for row in rows.values() if row[column] is not None]
        assert len(numbers) == len(set(numbers))


def test_the_docker_profile_refuses_by_default_and_names_every_allowed_call() -> None:
    profile = json.loads(seccomp.docker_profile())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    free = [rule for rule in profile["syscalls"] if "args" not in rule and rule["action"] == "SCMP_ACT_ALLOW"]
    assert set(free[0]["names"]) == {*TABLE["allow"], "prctl"}
    assert len(free) == 1
    mentioned = {name for rule in profile["syscalls"] for name in rule["names"]}
    assert not mentioned & set(TABLE["deny"])


def test_an_unknown_processor_has_no_filter() -> None:
    assert not seccomp.supported("riscv64")
    assert seccomp.supported("aarch64")


ASK_THE_KERNEL = """python3 - <<'END'
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    return errno.errorcode.get(ctypes.get_errno(), "ok") if libc.syscall(*map(ctypes.c_long, args)) < 0 else "ok"
socket, keyctl, unshare, clone3 = (41, 250, 272, 435) if platform.machine() == "x86_64" else (198, 219, 97, 435)
for family in (1, 2, 10, 16, 17, 38, 40):
    print("socket", family, call(socket, family, 1 if family != 16 else 3, 0))
print("io_uring_setup", call(425, 8, 0))
print("keyctl", call(keyctl, 0, 0))
print("unshare", call(unshare, 0x10000000))
print("clone3", call(clone3, 0, 0))
print("newer", call(1000))
END
"""


@pytest.mark.parametrize("kind", BACKENDS)
async def test_the_kernel_agrees(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as box:
        answers = text(await box.run(ASK_THE_KERNEL, timeout=20)).splitlines()
    assert answers == [
        *("socket 1 ok", "socket 2 ok", "socket 10 ok", "socket 16 ok"),
        *("socket 17 EPERM", "socket 38 EPERM", "socket 40 EPERM"),
        *("io_uring_setup EPERM", "keyctl EPERM", "unshare EPERM", "clone3 ENOSYS", "newer ENOSYS"),
    ]
