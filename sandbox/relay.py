"""Serves one connection to the proxy: one request or one tunnel, with a limit on everything."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from dataclasses import dataclass

from sandbox.attempts import Attempts
from sandbox.destinations import USUAL_PORTS, Malformed, shown
from sandbox.http_head import MAX_HEAD, Request, compose, parse
from sandbox.output import CHUNK
from sandbox.routes import Refused, Route, Router, Streams, Unreachable

_LINGER_SECONDS = 1.0
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(;[\t\x20-\x7e]*)?\r\n")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a connection may keep us waiting, in seconds."""

    head: float = 10.0
    """Until the request is there."""
    idle: float = 300.0
    """Without a byte in either direction."""


class _Meter:
    """Counts what is passed on, and with each piece puts off the end of its `timeout` to `seconds` from then."""

    def __init__(self, timeout: asyncio.Timeout, seconds: float) -> None:
        self._timeout = timeout
        self.seconds = seconds
        self.bytes = 0

    async def write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()
        self.bytes += len(data)
        self.put_off()

    def put_off(self) -> None:
        self._timeout.reschedule(asyncio.get_running_loop().time() + self.seconds)


async def serve(connection: socket.socket, router: Router, limits: Limits, attempts: Attempts) -> None:
    """Serve a client to its end. Whatever it or the other side does, nothing is raised but cancellation."""
    connection.setblocking(False)
    try:
        reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_HEAD)
    except OSError:
        connection.close()
        return
    try:
        _write_through(writer)
        await _serve((reader, writer), router, limits, attempts)
        await _part((reader, writer))
    except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, Malformed):
        pass  # one side is gone, silent or speaks no HTTP: the connection is over
    finally:
        writer.transport.abort()


async def _serve(client: Streams, router: Router, limits: Limits, attempts: Attempts) -> None:
    try:
        request = parse(await _head(client[0], limits))
    except Malformed as error:
        attempts.add("", 0, allowed=False, why=f"malformed request: {error}")
        return _answer(client, "400 Bad Request", str(error))
    host, port = request.host, request.port
    try:
        route = await router.route(host, port, tunnel=request.tunnel)
    except Refused as error:
        attempts.add(host, port, allowed=False, why=str(error))
        return _answer(client, "403 Forbidden", _refusal(host, port, str(error)))
    except Unreachable as error:
        attempts.add(host, port, allowed=True, why=str(error))
        return _answer(client, "502 Bad Gateway", f"{shown(host, port)}: {error}")
    attempts.add(host, port, allowed=True)
    try:
        server = await _connected(request, route)
    except Unreachable as error:
        attempts.add(host, port, allowed=True, why=str(error))
        return _answer(client, "502 Bad Gateway", f"{shown(host, port)}: {error}")
    _write_through(server[1])
    async with asyncio.timeout(limits.idle) as timeout:
        meter = _Meter(timeout, limits.idle)
        try:
            await _exchange(client, server, request, route, meter, limits)
        finally:
            server[1].transport.abort()
            attempts.passed(host, port, meter.bytes)


async def _head(reader: asyncio.StreamReader, limits: Limits) -> bytes:
    try:
        async with asyncio.timeout(limits.head):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise Malformed("the head is too long") from error
    except TimeoutError as error:
        raise Malformed("the head did not come in time") from error


async def _connected(request: Request, route: Route) -> Streams:
    if route.upstream is None:
        return await route.connect()
    if request.tunnel:
        return await route.upstream.tunnel(route.host, route.port)
    return await route.upstream.connect()


def _refusal(host: str, port: int, why: str) -> str:
    rule = shown(host, None if port in USUAL_PORTS else port)
    return f"{shown(host, port)} is refused: {why}. The user can allow it with --allow-host {rule}"


def _answer(client: Streams, status: str, text: str) -> None:
    body = f"coder: {text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    client[1].write(head.encode() + body)


async def _part(client: Streams) -> None:
    """Let the client have all that it was sent: unread input would make the kernel throw it away."""
    reader, writer = client
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            await writer.drain()
            writer.write_eof()
            while await reader.read(CHUNK):
                pass


def _write_through(writer: asyncio.StreamWriter) -> None:
    """Make drain() wait until everything is with the kernel."""
    writer.transport.set_write_buffer_limits(0)


async def _exchange(
    client: Streams, server: Streams, request: Request, route: Route, meter: _Meter, limits: Limits
) -> None:
    """Pass on everything. TimeoutError after too long a silence."""
    if request.tunnel:
        await meter.write(client[1], b"HTTP/1.1 200 Connection established\r\n\r\n")
        sending = asyncio.create_task(_pass_on(client[0], server[1], meter))
    else:
        name = shown(route.host, None if route.port == 80 else route.port)
        extra = route.upstream.headers if route.upstream else ()
        target = f"http://{name}{request.path}" if route.upstream else request.path
        await meter.write(server[1], compose(request, target, name, extra))
        sending = asyncio.create_task(_one_request(client[0], server[1], request.length, meter, limits))
    receiving = asyncio.create_task(_pass_on(server[0], client[1], meter))
    pending = {sending, receiving}
    try:
        while receiving in pending or (request.tunnel and pending):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        sending.cancel()
        receiving.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, meter: _Meter) -> None:
    while data := await reader.read(CHUNK):
        await meter.write(writer, data)
    if writer.can_write_eof():
        writer.write_eof()


async def _one_request(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    length: int | None,
    meter: _Meter,
    limits: Limits,
) -> None:
    """Pass on exactly one request's body. What the client sends after it goes nowhere; when it leaves, so do we soon."""
    await _body(reader, writer, length, meter)
    while await reader.read(CHUNK):
        pass
    meter.seconds = min(meter.seconds, limits.head)
    meter.put_off()


async def _body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int | None, meter: _Meter
) -> None:
    if length is not None:
        return await _exactly(reader, writer, length, meter)
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            raise Malformed("a chunk without a size")
        size = int(found[1], 16)
        if size:
            await meter.write(writer, b"%x\r\n" % size)
            await _exactly(reader, writer, size, meter)
            if await reader.readexactly(2) != b"\r\n":
                raise Malformed("a chunk without an end")
            await meter.write(writer, b"\r\n")
    await meter.write(writer, b"0\r\n\r\n")  # trailers stay here
    return None


async def _exactly(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int, meter: _Meter
) -> None:
    while length:
        data = await reader.read(min(CHUNK, length))
        if not data:
            raise EOFError("the body ends early")
        await meter.write(writer, data)
        length -= len(data)
