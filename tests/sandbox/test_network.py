"""Sandboxes that reach named hosts through the proxy, and nothing else."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.base import Sandbox
from sandbox.network import Attempt, Network
from tests.sandbox.outside import FETCH, Names, boxed, file_server
from tests.sandboxes import (
    BACKENDS,
    text,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Place:
    """A sandbox, what it may reach, and the outside: a server of files at `port`."""

    box: Sandbox
    network: Network
    told: list[Attempt]
    port: int
    files: Path
    directory: Path

    @property
    def url(self) -> str:
        return f"http://outside.test:{self.port}"

    async def run(self, script: str, timeout: float = 30) -> str:
        return text(await self.box.run(script, timeout=timeout))

    async def python(self, code: str) -> str:
        return text(await self.box.run("python3 -", stdin=code.encode(), timeout=30))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BACKENDS)
async def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    directory = tmp_path_factory.mktemp("place")
    files = tmp_path_factory.mktemp("files")
    (files / "hello").write_text("hello\n")
    told: list[Attempt] = []
    with file_server(files) as port:
        names = Names(directory, ["outside.test", "evil.test"])
        network = Network([f"outside.test:{port}"], on_attempt=told.append, resolver=names, environ={})
        await network.start()
        box = boxed(request.param, directory, network)
        await box.start()
        yield Place(box, network, told, port, files, directory)
        await box.close()
        await network.close()


# What it lets through


async def test_an_allowed_host_is_reached_as_programs_do_it(place: Place) -> None:
    place.box.workspace.write("fetch.py", FETCH.encode())
    assert await place.run(f"python3 fetch.py {place.url}/hello") == "hello"
    tunnel = f"""
import http.client
connection = http.client.HTTPConnection("127.0.0.1", 3128, timeout=10)
connection.set_tunnel("outside.test", {place.port})
connection.request("GET", "/hello")
print(connection.getresponse().read().decode())
"""
    assert await place.python(tunnel) == "hello"


async def test_git_clones_over_http(place: Place) -> None:
    bare = place.files / "remote.git"
    subprocess.run(["git", "clone", "-q", "--bare", place.box.workspace.source, bare], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    assert await place.run(f"git clone -q {place.url}/remote.git /tmp/clone && ls /tmp/clone") == "calc.py"
    assert "not allowed" in await place.run("git ls-remote ssh://outside.test/remote.git")


async def test_another_host_is_refused_in_words_and_recorded_once(place: Place) -> None:
    place.box.workspace.write("fetch.py", FETCH.encode())
    answers = await place.run("python3 fetch.py http://evil.test/ http://evil.test/x https://evil.test/")
    plain, _, tunnel = answers.splitlines()
    assert plain == "403 coder: evil.test:80 is refused: not in the list of allowed hosts. The user can allow it with --allow-host evil.test"  # fmt: skip
    assert "403" in tunnel
    evil = [attempt for attempt in place.network.attempts if attempt.host == "evil.test"]
    assert [(attempt.port, attempt.allowed, attempt.count) for attempt in evil] == [
        (80, False, 2),
        (443, False, 1),
    ]
    assert [(attempt.host, attempt.port) for attempt in place.told].count(("evil.test", 80)) == 1


async def test_there_is_still_no_network(place: Place) -> None:
    code = f"""
import socket
for family, address in ((socket.AF_INET, ("192.0.2.1", 80)), (socket.AF_INET, ("127.0.0.1", {place.port})), (socket.AF_INET6, ("2001:db8::1", 80))):
    try:
        socket.socket(family).connect(address)
        print("connected", address)
    except OSError as error:
        print(error.strerror)
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))
    print("sent")
except OSError as error:
    print(error.strerror)
try:
    print(socket.getaddrinfo("outside.test", 80))
except OSError as error:
    print("no name")
"""
    answers = (await place.python(code)).splitlines()
    assert answers == [
        "Network is unreachable",
        "Connection refused",
        answers[2],
        "Network is unreachable",
        "no name",
    ]
    assert "unreachable" in answers[2] or "assign" in answers[2]
    assert (await place.run("ls /sys/class/net 2>/dev/null; cat /proc/net/dev")).count(":") == 1  # lo


async def test_what_is_promised_is_said(place: Place) -> None:
    promise = next(item for item in place.box.guarantees() if item.name == "network")
    assert promise.how == (
        "a network namespace of its own with nothing but loopback; "
        f"only outside.test:{place.port}, through a logged proxy"
    )


# What a command could try


async def test_a_command_inherits_nothing_and_finds_nothing_to_hand_out_sockets_through(place: Place) -> None:
    listing = await place.run(
        "for fd in /proc/self/fd/*; do readlink $fd; done; ls -A /run/coder 2>/dev/null; true"
    )
    assert "socket" not in listing
    assert "door" not in listing
    assert await place.run("grep -c coder.*door /proc/net/unix; true") == "0"


async def test_a_command_cannot_take_the_port(place: Place) -> None:
    code = """
import socket
for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
    for address in ("127.0.0.1", ""):
        other = socket.socket()
        other.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            other.bind((address, 3128))
            other.listen()
            print("taken")
        except OSError as error:
            print(error.strerror)
"""
    assert set((await place.python(code)).splitlines()) == {"Address already in use"}


HOARD = """
import select, socket, sys, time
kept = [socket.socket() for _ in range(int(sys.argv[1]))]
for it in kept:
    it.setblocking(False)
    it.connect_ex(("127.0.0.1", 3128))
time.sleep(1)
connected = select.poll()
for it in kept:
    connected.register(it, select.POLLOUT)
connected = [fd for fd, event in connected.poll(1000) if event == select.POLLOUT]
print(len(connected), flush=True)
for it in kept:
    if it.fileno() in connected:
        it.send(b"GET http://outside.test/ HTTP/1.1\\r\\nA: ")
time.sleep(float(sys.argv[2]))
"""


async def test_a_thousand_connections_are_bounded_and_the_next_command_is_not_disturbed(place: Place) -> None:
    place.box.workspace.write("hoard.py", HOARD.encode())
    place.box.workspace.write("fetch.py", FETCH.encode())
    hoarding = asyncio.create_task(place.run("ulimit -n 2000; python3 hoard.py 1000 1"))
    most = 0
    while not hoarding.done():
        most = max(most, len(os.listdir("/proc/self/fd")))
        await asyncio.sleep(0.05)
    assert int(await hoarding) >= 128
    assert most < 128 + 150, "descriptors of ours"
    assert await place.run(f"python3 fetch.py {place.url}/hello") == "hello"


async def test_nothing_of_a_command_is_connected_after_its_end(place: Place) -> None:
    place.box.workspace.write("hoard.py", HOARD.encode())
    await place.run("python3 hoard.py 20 0; setsid python3 hoard.py 20 30 >/dev/null 2>&1 & sleep 1")
    result = await place.box.run("python3 hoard.py 20 30", timeout=2)
    assert result.timed_out
    gates = place.network._gates
    assert not any(gate._serving for gate in gates)
    assert len(gates) == (1 if place.box.name == "docker" else 0)


async def test_a_reset_sandbox_still_reaches_its_hosts(place: Place) -> None:
    await place.box.reset()
    place.box.workspace.write("fetch.py", FETCH.encode())
    assert await place.run(f"python3 fetch.py {place.url}/hello") == "hello"


async def test_signals_and_status_are_as_without_a_network(place: Place) -> None:
    assert await place.run("yes | head -1; echo ${PIPESTATUS[*]}") == "y\n141 0"
    assert (await place.box.run("exit 7", timeout=10)).exit == 7
