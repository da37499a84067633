"""A program in a terminal of its own: bytes in, bytes out, a size."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

CHUNK = 64 * 1024
PATIENCE = 10.0
"""Seconds that the program has to leave in good order before it is killed."""


class Terminal:
    """Runs one program. Made by `open`; `close` ends it."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self._process = process
        self._master = master
        self._readable = asyncio.Event()

    @classmethod
    async def open(
        cls, command: Sequence[str], environ: Mapping[str, str], size: tuple[int, int]
    ) -> Terminal:
        """Start `command` in a terminal of `size` (columns, rows), as the leader of a session. Raises OSError."""
        master, slave = pty.openpty()
        try:
            _resize(master, size)
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=dict(environ),
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        os.set_blocking(master, False)
        return cls(process, master)

    async def output(self) -> AsyncIterator[bytes]:
        """What the program writes, until it ends. A slow reader stops the program, as a slow terminal does."""
        loop = asyncio.get_running_loop()
        while True:
            self._readable.clear()
            loop.add_reader(self._master, self._readable.set)
            try:
                await self._readable.wait()
            finally:
                loop.remove_reader(self._master)
            try:
                data = os.read(self._master, CHUNK)
            except BlockingIOError:
                continue
            except OSError:  # EIO: nobody has the other end any more
                return
            if not data:
                return
            yield data

    async def write(self, data: bytes) -> None:
        """Type `data`. Waits while the program does not read; gives up when it has ended."""
        rest = memoryview(data)
        while rest and self._process.returncode is None:
            try:
                rest = rest[os.write(self._master, rest) :]
            except BlockingIOError:
                await asyncio.sleep(0.01)
            except OSError:
                return

    def resize(self, columns: int, rows: int) -> None:
        _resize(self._master, (columns, rows))

    async def close(self) -> None:
        """Hang up as a closed terminal does, wait, and kill what stays."""
        process = self._process
        try:
            for number in (signal.SIGHUP, signal.SIGKILL):
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, number)
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await process.wait()
        finally:
            os.close(self._master)


def _resize(descriptor: int, size: tuple[int, int]) -> None:
    columns, rows = (min(max(value, 1), 1000) for value in size)
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _take_terminal() -> None:
    """In the child, after setsid: without it the kernel tells nobody of a new size, and an editor has no Ctrl-C."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
