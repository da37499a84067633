"""The way from one sandbox to the proxy: a listening socket of its network, handed out of it.

A socket belongs for ever to the network in which it was made. So we accept connections in the sandbox's network, which
leads nowhere else, while nothing of ours runs inside and nothing of the host can be reached from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from sandbox.listener import ADDRESS

HANDOVER_SECONDS = 20.0
MAX_CONNECTIONS = 128
"""At a time and a sandbox; more wait in the kernel, as many as its queue holds."""

_SO_NETNS_COOKIE = 71  # asm-generic/socket.h, since Linux 5.14
_PAUSE = 0.02
_SOURCE = Path(__file__).with_name("listener.py")

Serve = Callable[[socket.socket], Awaitable[None]]


def program(python: str, door: str, command: Sequence[str] = ()) -> tuple[str, ...]:
    """The command line that opens a gate from inside and becomes `command`."""
    return (python, "-I", "-S", "-c", _SOURCE.read_text(), door, *command)


class Gate:
    """Accepts a sandbox's connections until `close`.

    Accepting is left to a thread: whoever made the socket may have kept it and could make accept() block.
    """

    def __init__(self, listener: socket.socket, serve: Serve) -> None:
        self._listener = listener
        self._serve = serve
        self._loop = asyncio.get_running_loop()
        self._free = threading.Semaphore(MAX_CONNECTIONS)
        self._closed = threading.Event()
        self._serving: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._accept, name="gate", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        ready = select.poll()
        ready.register(self._listener, select.POLLIN)
        while not self._closed.is_set():
            self._free.acquire()
            try:
                ready.poll()
                if self._closed.is_set():
                    return
                connection, _ = self._listener.accept()
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.EBADF):  # it listens no more
                    return
                self._free.release()
                time.sleep(_PAUSE)
                continue
            try:
                self._loop.call_soon_threadsafe(self._arrived, connection)
            except RuntimeError:  # the loop has ended
                connection.close()
                return

    def _arrived(self, connection: socket.socket) -> None:
        if self._closed.is_set():
            connection.close()
            return
        task = asyncio.create_task(self._serve_one(connection))
        self._serving.add(task)
        task.add_done_callback(partial(self._left, connection))

    async def _serve_one(self, connection: socket.socket) -> None:
        await self._serve(connection)

    def _left(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        """A task that was cancelled before it began never had the connection in its hands."""
        connection.close()
        self._serving.discard(task)
        self._free.release()

    async def drop(self) -> None:
        """End the connections there are; new ones are welcome."""
        doomed = set(self._serving)
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)

    async def close(self) -> None:
        """End everything. Safe to call twice."""
        if self._closed.is_set():
            return
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._free.release()
        await self.drop()
        await asyncio.to_thread(self._thread.join, 1.0)
        await asyncio.sleep(0)  # what the thread accepted last has arrived then, and is closed
        self._listener.close()


async def receive(out: socket.socket) -> socket.socket:
    """The listening socket that comes through `out`, a connected unix socket, which is closed then.

    Raises OSError when none comes, or something else does.
    """
    loop = asyncio.get_running_loop()
    out.setblocking(False)
    readable = asyncio.Event()
    loop.add_reader(out, readable.set)
    try:
        async with asyncio.timeout(HANDOVER_SECONDS):
            await readable.wait()
        return _checked(out)
    except TimeoutError as error:
        raise OSError("the sandbox did not hand over its socket in time") from error
    finally:
        loop.remove_reader(out)
        out.close()


def _checked(out: socket.socket) -> socket.socket:
    _, found, _, _ = socket.recv_fds(
        out, 1, 1, socket.MSG_CMSG_CLOEXEC
    )  # the kernel closes what is more than one
    if not found:
        raise OSError("the sandbox handed over nothing")
    return check(found[0])


def check(fd: int) -> socket.socket:
    """The listening TCP socket with the proxy's address, in another network than ours, that `fd` must be.

    Raises OSError when it is not; it is closed then.
    """
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError("the sandbox handed over something that is no socket")
    listener = socket.socket(fileno=fd)
    is_stream = (listener.family, listener.type) == (socket.AF_INET, socket.SOCK_STREAM)
    if is_stream and _listens(listener) and listener.getsockname() == ADDRESS and is_foreign(listener):
        return listener
    listener.close()
    raise OSError("the sandbox handed over another socket than it should")


def _listens(it: socket.socket) -> bool:
    return bool(it.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def is_foreign(it: socket.socket) -> bool:
    """Whether it belongs to another network than this process; taken to be where the kernel does not say."""
    with socket.socket() as own:
        try:
            cookies = [each.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8) for each in (own, it)]
        except OSError:
            return True
    return cookies[0] != cookies[1]
