"""The outside, for tests: a small HTTP server on loopback that names are made for, and a client of the proxy."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from sandbox.attempts import Attempt, Attempts
from sandbox.base import Sandbox
from sandbox.bubblewrap import Bubblewrap
from sandbox.destinations import Address, parse_rule
from sandbox.docker import Docker
from sandbox.network import Network
from sandbox.relay import Limits, serve
from sandbox.routes import Resolver, Router
from tests.conftest import IMAGE
from tests.sandboxes import SMALL, make_workspace, own_python

QUICK = Limits(head=0.5, idle=0.5)


class Names(Resolver):
    """A name server of our own behind a hosts file of our own; counts what it is asked."""

    def __init__(
        self, directory: Path, here: Sequence[str] = (), elsewhere: dict[str, list[str]] | None = None
    ) -> None:
        hosts = directory / "hosts"
        hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in here))
        super().__init__(hosts)
        self.asked: list[str] = []
        self._elsewhere = elsewhere or {}

    async def lookup(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        if host in self._elsewhere:
            return [ip_address(text) for text in self._elsewhere[host]]
        return await super().lookup(host)


@dataclass
class Outside:
    """A server that answers each request with its body, and keeps what it received."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, EOFError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0
                )
                body = await reader.readexactly(length)
                if b"Transfer-Encoding: chunked" in head:
                    body = await reader.readuntil(b"0\r\n\r\n")
                self.bodies.append(body)
                text = b"seen " + (body or head.split(b"\r\n")[0])
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
                await writer.drain()
                if b"Connection: close" in head:
                    break
        writer.close()


@contextlib.asynccontextmanager
async def outside() -> AsyncIterator[Outside]:
    """A running server."""
    it = Outside()
    server = await asyncio.start_server(it.answer, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()


class Proxy:
    """The proxy without a sandbox: each request over a connection of its own."""

    def __init__(
        self,
        names: Names,
        rules: Sequence[str] = (),
        *,
        is_open: bool = False,
        limits: Limits | None = None,
        environ: dict[str, str] | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._attempts = Attempts(None)
        parsed = [parse_rule(rule) for rule in rules]
        self.router = Router(parsed, is_open=is_open, environ=environ or {}, resolver=names)
        self.serving: set[asyncio.Task[None]] = set()

    @property
    def attempts(self) -> list[Attempt]:
        return self._attempts.all()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        task = asyncio.create_task(serve(theirs, self.router, self._limits, self._attempts))
        self.serving.add(task)
        return await asyncio.open_connection(sock=ours)

    async def ask(self, data: bytes, *, then_end: bool = False) -> bytes:
        """Everything that is answered to `data`."""
        reader, writer = await self.connect()
        try:
            writer.write(data)
            if then_end:
                writer.write_eof()
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()

    async def settled(self) -> None:
        """Every connection is over, and none with an error."""
        async with asyncio.timeout(20):
            await asyncio.gather(*self.serving)


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def file_server(directory: Path) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def boxed(kind: str, directory: Path, network: Network, image: str = IMAGE) -> Sandbox:
    workspace = make_workspace(directory)
    if kind == "docker":
        return Docker(workspace, SMALL, image=image, network=network)
    return Bubblewrap(workspace, SMALL, toolchain=own_python(workspace), network=network)


FETCH = """
import sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=10).read().decode().strip())
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode().strip())
    except OSError as error:
        print("failed:", error)
"""
"""A program that fetches each URL that it is given."""
