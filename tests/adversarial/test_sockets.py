"""Which system calls and which kinds of socket there are inside: exactly these and no others, on every backend."""

from __future__ import annotations

import ast
import platform

import pytest

from sandbox.base import Sandbox
from tests.sandboxes import text

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("still_works")]

FAMILIES = {1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6", 16: "AF_NETLINK"}
"""Those a program may have; their addresses lead nowhere."""

ASK = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    return errno.errorcode.get(ctypes.get_errno(), "?") if result < 0 else "ok"

answers = {}
for family in range(64):
    answers[family] = {call("socket", family, kind, 0) for kind in (1, 2, 3, 5)}
pair = (ctypes.c_int * 2)()
answers["pair"] = {call("socketpair", family, 1, 0, pair) for family in (17, 38, 40)}
print(answers)
"""


async def python(box: Sandbox, code: str) -> str:
    return text(await box.run("python3 -", timeout=30, stdin=code.encode()))


async def test_there_are_four_families_of_sockets(box: Sandbox) -> None:
    answers = ast.literal_eval(await python(box, ASK))
    assert answers.pop("pair") == {"EPERM"}
    assert {family for family, said in answers.items() if "ok" in said} == set(FAMILIES)
    refused = {family: said for family, said in answers.items() if family not in FAMILIES}
    assert {word for said in refused.values() for word in said} == {"EPERM"}, refused


async def test_no_raw_packet_can_be_made(box: Sandbox) -> None:
    code = """
import socket
for family, kind, number in ((2, 3, 1), (2, 3, 255), (10, 3, 58)):
    try:
        socket.socket(family, kind, number)
        print("MADE", family, kind, number)
    except OSError as error:
        print(error.strerror)
"""
    assert "MADE" not in await python(box, code)


async def test_asynchronous_input_and_output_of_the_kernel_is_not_there(box: Sandbox) -> None:
    """io_uring makes sockets and files past every filter. Its three calls have the same numbers everywhere."""
    code = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for number in (425, 426, 427):
    ctypes.set_errno(0)
    print(libc.syscall(number, 8, 0, 0, 0, 0, 0), os.strerror(ctypes.get_errno()))
"""
    assert (await python(box, code)).splitlines() == ["-1 Operation not permitted"] * 3


BACK_DOOR = """
import ctypes, mmap, os, sys
code = bytes.fromhex({code!r})
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
print("before", flush=True)
result = ctypes.CFUNCTYPE(ctypes.c_long)(address)()
print("PASSED" if 0 <= result < 4096 else "refused", result)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine code for x86_64")
@pytest.mark.parametrize(
    "code",
    [
        # socketcall and socket of the 32-bit table: int 0x80 with eax 359, ebx AF_VSOCK, ecx SOCK_STREAM, edx 0
        pytest.param("53b867010000bb28000000b90100000031d2cd804863c05bc3", id="32 bit"),
        # socket(AF_VSOCK, SOCK_STREAM, 0) with the x32 bit set
        pytest.param("b829000040bf28000000be0100000031d20f05c3", id="x32"),
    ],
)
async def test_other_ways_into_the_kernel_are_closed(box: Sandbox, code: str) -> None:
    result = await box.run("python3 -", timeout=20, stdin=BACK_DOOR.format(code=code).encode())
    assert text(result).startswith("before"), text(result)
    assert "PASSED" not in text(result)


async def test_a_name_server_is_not_asked(box: Sandbox) -> None:
    script = (
        "cat /etc/resolv.conf 2>/dev/null | grep -c nameserver; getent hosts example.com localhost | wc -l"
    )
    lines = text(await box.run(script, timeout=20)).splitlines()
    assert int(lines[-1]) <= 1
    code = "import socket; s = socket.socket(2, 2); s.settimeout(2); s.sendto(b'x' * 30, ('8.8.8.8', 53))"
    assert "unreachable" in await python(box, code)
