"""A Docker engine: connecting, what went wrong in words, calls that cannot hang, and the output stream of a command."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from sandbox.addresses import address
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.output import CHUNK

if TYPE_CHECKING:
    import docker

CALL_SECONDS = 20.0

_T = TypeVar("_T")


class Gone(SandboxError):
    """The container does not run any more, or never did."""


async def open_stream(host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the engine. SandboxUnavailable says which of many things is wrong."""
    parts = urlsplit(host)
    opening: Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    if parts.scheme == "unix":
        opening = asyncio.open_unix_connection(parts.path, limit=CHUNK)
    else:
        opening = asyncio.open_connection(parts.hostname, parts.port or 2375, limit=CHUNK)
    start = "start Docker, set DOCKER_HOST, or use --sandbox bubblewrap"
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await opening
    except FileNotFoundError as error:
        raise SandboxUnavailable(f"no Docker engine: {parts.path} does not exist", hint=start) from error
    except PermissionError as error:
        hint = "add yourself to the group docker (sudo usermod -aG docker $USER) and log in again"
        raise SandboxUnavailable(f"no permission to use Docker's socket {parts.path}", hint=hint) from error
    except (OSError, TimeoutError) as error:
        raise SandboxUnavailable(f"no Docker engine answers at {host}", hint=start) from error


class Engine:
    """docker-py in threads, with a limit on every call."""

    def __init__(self, host: str, client: docker.APIClient) -> None:
        self.host = host
        self._client = client

    @classmethod
    async def connect(cls, host: str | None) -> Engine:
        """Raises SandboxUnavailable."""
        chosen = address(host)
        _, writer = await open_stream(chosen)
        writer.close()
        try:
            return cls(chosen, await _guarded(lambda: _client(chosen), CALL_SECONDS, "connecting"))
        except SandboxError as error:
            raise SandboxUnavailable(str(error), hint=error.hint) from error

    async def call(self, name: str, *args: object, limit: float = CALL_SECONDS, **kwargs: object) -> Any:
        """APIClient.`name`(…) within `limit` seconds.

        Raises Gone when the container is not running or not there, SandboxError for anything else.
        """
        method = getattr(self._client, name)
        return await _guarded(lambda: method(*args, **kwargs), limit, name)

    @property
    def version(self) -> str:
        """The version of its interface that is spoken."""
        return str(self._client.api_version)

    def close(self) -> None:
        self._client.close()

    async def attach(self, exec_id: str, stdin: bytes) -> ExecStream:
        """Start a prepared exec and give it `stdin`.

        Not by docker-py: its socket comes from below a buffered reader that may already hold the first output.
        """
        reader, writer = await open_stream(self.host)
        body = json.dumps({"Detach": False, "Tty": False}).encode()
        head = (
            f"POST /v{self._client.api_version}/exec/{exec_id}/start HTTP/1.1\r\nHost: docker\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        stream = ExecStream(reader, writer)
        try:
            writer.write(head.encode() + body)
            async with asyncio.timeout(CALL_SECONDS):
                answer = await reader.readuntil(b"\r\n\r\n")
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            await stream.close()
            raise SandboxError(f"the engine did not start the command: {error!r}") from error
        except BaseException:
            await stream.close()
            raise
        if answer.split(b" ", 2)[1] not in (b"101", b"200"):
            await stream.close()
            raise Gone(f"the engine did not start the command: {answer.splitlines()[0].decode('latin-1')}")
        stream.feed(stdin)
        return stream


class ExecStream:
    """Both output streams of a command, in the order in which the engine sends them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._left = 0
        self._feeding: asyncio.Task[None] | None = None

    async def read(self) -> bytes:
        """Some output; empty at the end."""
        try:
            while not self._left:  # a frame: kind, three zeros, length, payload (Docker Engine API, "Attach")
                header = await self._reader.readexactly(8)
                self._left = int.from_bytes(header[4:], "big")
            data = await self._reader.read(min(CHUNK, self._left))
        except (EOFError, ConnectionError):
            return b""
        self._left -= len(data)
        return data

    def feed(self, stdin: bytes) -> None:
        """Begin to write the command's input; after it comes the end."""
        if stdin:
            self._feeding = asyncio.create_task(self._feed(stdin))

    async def _feed(self, stdin: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # a command need not read it
            self._writer.write(stdin)
            await self._writer.drain()
            self._writer.write_eof()

    async def discard(self) -> None:
        """Read to the end for nobody: the engine kills nothing whose output it cannot get rid of."""
        while await self.read():
            pass

    async def close(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
        self._writer.transport.abort()  # not close(): that waits until unread input is sent
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def _client(host: str) -> docker.APIClient:
    import docker

    return docker.APIClient(base_url=host, version="auto", timeout=int(CALL_SECONDS))


async def _guarded(function: Callable[[], _T], limit: float, what: str) -> _T:
    from docker.errors import APIError, DockerException

    try:
        async with asyncio.timeout(limit):
            return await asyncio.to_thread(function)
    except APIError as error:
        # 404: not there; 409: there, but not running
        kind = Gone if error.status_code in (404, 409) else SandboxError
        raise kind(f"Docker refused {what}: {error.explanation or error}") from error
    except TimeoutError as error:
        raise SandboxError(
            f"Docker did not answer {what} within {limit:g} s", hint="is the engine overloaded?"
        ) from error
    except (DockerException, OSError) as error:
        raise SandboxError(
            f"Docker failed at {what}: {error}", hint="is the engine still running?"
        ) from error
