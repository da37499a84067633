"""The ways between a sandbox and its proxy: how they are made, by whom, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from sandbox.base import Sandbox
from sandbox.container import DOOR, reap
from sandbox.engine import Engine
from sandbox.errors import SandboxUnavailable
from sandbox.gate import Gate, check, is_foreign
from sandbox.listener import ADDRESS
from sandbox.network import Network
from tests.conftest import IMAGE
from tests.sandbox.outside import FETCH, Names, boxed, file_server
from tests.sandboxes import (
    BACKENDS,
    CODE,
    code_for_everybody,
    make_sandbox,
    make_workspace,
    text,
)

# Off, and over


@pytest.mark.parametrize("kind", BACKENDS)
async def test_off_by_default(kind: str, tmp_path: Path) -> None:
    box = make_sandbox(kind, make_workspace(tmp_path))
    await box.start()
    try:
        assert (
            await run(box, "env | grep -i -e proxy -e java; ls -d /run/coder 2>/dev/null; echo end") == "end"
        )
        assert "refused" in (await run(box, "exec 3<>/dev/tcp/127.0.0.1/3128")).lower()
        assert await run(box, "echo $GIT_ALLOW_PROTOCOL") == "file"
    finally:
        await box.close()


async def run(box: Sandbox, script: str) -> str:
    return text(await box.run(script, timeout=20))


def gates_and_doors(directory: Path) -> list[object]:
    threads = [thread for thread in threading.enumerate() if thread.name == "gate"]
    return [*threads, *directory.rglob("door-*")]


@pytest.mark.parametrize("kind", BACKENDS)
async def test_nothing_is_left_after_the_end(kind: str, tmp_path: Path) -> None:
    before = asyncio.all_tasks(), gates_and_doors(tmp_path)
    network = Network(["outside.test"], environ={})
    await network.start()
    box = boxed(kind, tmp_path, network)
    await box.start()
    await box.run("true", timeout=10)
    await box.close()
    await network.close()
    await network.close()
    assert (asyncio.all_tasks(), gates_and_doors(tmp_path)) == before


@pytest.mark.parametrize("kind", BACKENDS)
async def test_a_closed_network_lets_nothing_through(kind: str, tmp_path: Path) -> None:
    network = Network(["outside.test"], environ={})
    await network.start()
    box = boxed(kind, tmp_path, network)
    await box.start()
    try:
        await network.close()
        if kind == "docker":
            assert "refused" in (await run(box, "exec 3<>/dev/tcp/127.0.0.1/3128")).lower()
        else:
            with pytest.raises(SandboxUnavailable, match="the proxy is not running"):
                await run(box, "true")
    finally:
        await box.close()


# Descriptors that are handed over


def other_sockets() -> Iterator[tuple[str, socket.socket]]:
    for name, family, kind, address in (
        ("another port", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        ("all addresses", socket.AF_INET, socket.SOCK_STREAM, ("", 0)),
        ("IPv6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
        ("abstract", socket.AF_UNIX, socket.SOCK_STREAM, "\0coder-test-handover"),
        ("packets", socket.AF_UNIX, socket.SOCK_SEQPACKET, "\0coder-test-handover-2"),
    ):
        it = socket.socket(family, kind)
        it.bind(address)
        it.listen()
        yield name, it
    yield "datagrams", socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    yield "not listening", socket.socket()


async def test_only_the_listening_socket_of_the_proxys_address_is_taken(tmp_path: Path) -> None:
    for name, it in other_sockets():
        fd = os.dup(it.fileno())
        it.close()
        with pytest.raises(OSError, match="another socket"):
            check(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
        assert name
    read, write = os.pipe()
    with pytest.raises(OSError, match="no socket"):
        check(read)
    os.close(write)


async def test_a_socket_of_our_own_network_is_known_as_such() -> None:
    with socket.socket() as it:
        assert not is_foreign(it)


async def test_nothing_or_a_wrong_socket_through_the_door_is_an_error_and_recorded() -> None:
    network = Network(["outside.test"], environ={})
    await network.start()
    for given in ("end", "bytes", "pipe", "many"):
        ours, theirs = socket.socketpair()
        with theirs:
            read, write = os.pipe()
            match given:
                case "bytes":
                    theirs.send(b"x")
                case "pipe":
                    socket.send_fds(theirs, [b"x"], [read])
                case "many":
                    socket.send_fds(theirs, [b"x"], [read] * 200)
            os.close(read)
            os.close(write)
            if given == "end":
                theirs.close()
            with pytest.raises(OSError, match="handed over"):
                await network.admit(ours)
        assert ours.fileno() == -1
    assert {attempt.allowed for attempt in network.attempts} == {False}
    await network.close()


async def test_whoever_kept_the_socket_cannot_block_us() -> None:
    """It takes each connection away before we do, on a socket that blocks."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    kept = listener.dup()
    served = []

    async def serve(connection: socket.socket) -> None:
        served.append(connection)
        connection.close()

    gate = Gate(listener, serve)
    kept.setblocking(False)
    for _ in range(50):
        client = socket.create_connection(kept.getsockname())
        with contextlib.suppress(BlockingIOError):
            kept.accept()[0].close()
        kept.setblocking(True)
        await asyncio.sleep(0)
        kept.setblocking(False)
        client.close()
    await asyncio.wait_for(gate.close(), 5)
    kept.close()
    await asyncio.sleep(0.1)
    assert not [thread for thread in threading.enumerate() if thread.name == "gate"]


HAMMER = """
import socket, sys
while True:
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=1).close()
    except OSError:
        pass
"""


async def test_clients_that_keep_coming_do_not_keep_the_next_command_waiting() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    address = listener.getsockname()

    async def serve(connection: socket.socket) -> None:
        with connection:
            await asyncio.sleep(60)

    gate = Gate(listener, serve)
    # a program of its own, as in a sandbox: a thread here would take the very interpreter that is measured
    client = subprocess.Popen([sys.executable, "-I", "-S", "-c", HAMMER, str(address[1])])
    try:
        for _ in range(20):
            await asyncio.sleep(0.01)
            await asyncio.wait_for(gate.drop(), 20)
        await asyncio.wait_for(gate.close(), 20)
    finally:
        client.kill()
        client.wait()


async def test_a_connection_that_was_dropped_before_it_was_served_is_closed() -> None:
    """Its task never begins, so that nobody but the gate can close it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    async def serve(connection: socket.socket) -> None:
        raise AssertionError("it has not begun")

    gate = Gate(listener, serve)
    arrived: list[socket.socket] = []
    take = gate._arrived

    def drop_at_once(connection: socket.socket) -> None:
        arrived.append(connection)
        take(connection)
        for task in gate._serving:
            task.cancel()

    gate._arrived = drop_at_once  # type: ignore[method-assign]  # the only way to that moment
    with socket.create_connection(listener.getsockname()) as client:
        while not arrived:
            await asyncio.sleep(0.01)
        await gate.close()
        assert arrived[0].fileno() == -1
        client.settimeout(5)
        assert client.recv(1) == b""


# Images and users


WITHOUT_PYTHON = "coder-test-without-python"


@pytest.fixture(scope="module")
def without_python() -> Iterator[str]:
    """An image with bash and no Python."""
    client = docker.from_env()
    made = client.containers.run(
        IMAGE, ["sh", "-c", "rm -f /usr/bin/python3* /usr/local/bin/python3* /opt/py/bin/python*"],
        user="0:0", entrypoint=[], network_mode="none", detach=True,
    )  # fmt: skip
    try:
        made.wait(timeout=60)
        made.commit(WITHOUT_PYTHON)
    finally:
        made.remove(force=True)
    yield WITHOUT_PYTHON
    client.images.remove(WITHOUT_PYTHON, force=True)
    client.close()


@pytest.mark.docker
async def test_an_image_without_python_is_helped_from_beside(without_python: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "hello").write_text("hello\n")
    with file_server(files) as port:
        names = Names(tmp_path, ["outside.test"])
        network = Network([f"outside.test:{port}"], resolver=names, environ={})
        await network.start()
        box = boxed("docker", tmp_path, network, image=without_python)
        await box.start()
        try:
            assert await run(box, "python3 --version") != ""
            assert "not found" in await run(box, "python3 --version")
            request = rf"exec 3<>/dev/tcp/127.0.0.1/3128; printf 'GET http://outside.test:{port}/hello HTTP/1.0\r\n\r\n' >&3; tail -1 <&3"
            assert await run(box, request) == "hello"
            assert await run(box, f"ls -A {DOOR}") == ""
        finally:
            await box.close()
            await network.close()
    assert gates_and_doors(tmp_path) == []


@pytest.mark.docker
async def test_where_neither_can_be_done_it_is_said_and_nothing_is_left(
    without_python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.doors._HELPER", without_python)
    network = Network(["outside.test"], environ={})
    await network.start()
    box = boxed("docker", tmp_path, network, image=without_python)
    with pytest.raises(SandboxUnavailable, match="no way from the container to the proxy") as caught:
        await box.start()
    assert "python3" in caught.value.hint
    await network.close()
    client = docker.from_env()
    mine = client.containers.list(all=True, filters={"ancestor": without_python})
    client.close()
    assert mine == []
    assert gates_and_doors(tmp_path) == []


ORDINARY = """
import asyncio, sys
from pathlib import Path
from sandbox.base import Policy
from sandbox.bubblewrap import Bubblewrap
from sandbox.network import Network
from sandbox.routes import Resolver
from sandbox.workspace import Workspace

async def main(directory, port):
    source = directory / "source"
    source.mkdir()
    (source / "fetch.py").write_text(sys.argv[3])
    (directory / "hosts").write_text("127.0.0.1 outside.test")
    workspace = Workspace.create(source, directory / "state")
    network = Network([f"outside.test:{port}"], resolver=Resolver(directory / "hosts"), environ={})
    await network.start()
    sandbox = Bubblewrap(workspace, Policy(memory_mb=256, processes=32), network=network)
    await sandbox.start()
    for url in (f"http://outside.test:{port}/hello", "http://evil.test/"):
        result = await sandbox.run(f"id -u; python3 fetch.py {url}", timeout=20)
        print(result.text().strip())
    await sandbox.close()
    await network.close()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become others")
def test_an_ordinary_user_needs_no_help_from_root(tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("hello\n")
    with code_for_everybody() as code, file_server(tmp_path) as port:
        (code / "home").mkdir()
        shutil.chown(code / "home", 1234, 1234)
        done = subprocess.run(
            ["/usr/bin/python3", "-c", ORDINARY, str(code / "home"), str(port), FETCH],
            user=1234, group=1234, extra_groups=[], cwd=code, env={"PATH": os.defpath, "HOME": str(code)},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[:3] == ["1234", "hello", "1234"]
    assert "403 coder: evil.test:80 is refused" in done.stdout


async def reap_now() -> None:
    engine = await Engine.connect(None)
    await reap(engine)
    engine.close()


KILLED = """
import asyncio, sys
from pathlib import Path
from sandbox.network import Network
from tests.sandbox.outside import boxed

async def main():
    network = Network(["outside.test"], environ={})
    await network.start()
    box = boxed(sys.argv[1], Path(sys.argv[2]), network)
    await box.start()
    def tell(data):
        print(data.decode(), end="", flush=True)
    await box.run("exec 3<>/dev/tcp/127.0.0.1/3128; echo connected; sleep 1077.1", timeout=60, on_output=tell)

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", BACKENDS)
def test_of_a_killed_program_no_door_and_no_socket_is_left(kind: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, kind, str(tmp_path)], cwd=CODE.parent, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"connected\n"
        program.send_signal(signal.SIGKILL)
    assert list(tmp_path.rglob("door-*")) == []
    if kind == "docker":
        asyncio.run(reap_now())
    if kind == "bubblewrap":
        deadline = time.monotonic() + 20
        while subprocess.run(["pgrep", "-f", "sleep 1077[.]1"], capture_output=True).stdout:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_address_is_the_one_that_commands_are_told() -> None:
    from sandbox.network import ENVIRONMENT

    assert ENVIRONMENT["HTTPS_PROXY"] == "http://{}:{}".format(*ADDRESS)
