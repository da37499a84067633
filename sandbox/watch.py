"""Sees a command to its end and says why it must end early: its time, its output or the disk."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox.command import Command
from sandbox.nameless import held
from sandbox.output import HeadTail

Stop = Literal["", "timeout", "output", "disk"]

FULL = b"[the workspace is past its size limit: commands can delete files but not write them]\n"
_LOOK_SECONDS = 0.2
_RESERVE = 256 << 20  # free space of the file system below which a command ends, whoever took the rest


async def _du(root: Path, *options: str) -> int | None:
    """The first number that `du -sx` prints for `root`; None when it may not look everywhere or takes longer than 30 s.

    A program of its own: it walks hostile trees (too deep, too many) without touching our memory, and reads no file.
    """
    process = await asyncio.create_subprocess_exec(
        "du", "-sx", *options, "--", str(root),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"LC_ALL": "C", "PATH": os.defpath},
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            out, problems = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if b"Permission denied" in problems:  # what is hidden from us may be anything
        return None
    first = out.split(None, 1)[:1]
    return int(first[0]) if first and first[0].isdigit() else None


@dataclass(frozen=True, slots=True)
class _Usage:
    size: float
    inodes: float

    def __sub__(self, other: _Usage) -> _Usage:
        return _Usage(self.size - other.size, self.inodes - other.inodes)

    def exceeds(self, limit: _Usage) -> bool:
        return self.size > limit.size or self.inodes > limit.inodes


_SLACK = _Usage(16 << 20, 10_000)  # growth too small to be worth a walk over the workspace


class DiskWatch:
    """Watches how much a directory grows, in bytes and in number of files.

    Each time, the free space of its file system is asked; when that has fallen by as much as the directory may
    still grow, the directory itself is measured, and what was removed from it but is still open inside. So it is
    now and then while a command runs (others may free space meanwhile), at most a twentieth of the time. What
    cannot be measured at the start, in 30 s, is not watched. `workspace` is the sandbox's, when `root` is not.
    """

    def __init__(self, root: Path, limit_mb: int, files: int, *, workspace: Path | None = None) -> None:
        self._root = root
        self._workspace = workspace or root
        self._limit = _Usage(limit_mb << 20, files)
        self._reserve = 0.0
        self._start = _Usage(0, 0)
        self._grown = _Usage(0, 0)
        self._free = _Usage(0, 0)
        self._next = 0.0

    async def start(self) -> None:
        """Measure the workspace as it is now: growth counts from here."""
        self._free = self._free_now()
        self._reserve = min(_RESERVE, self._free.size / 2)
        self._start = await self._measure()
        self._limit = _Usage(
            math.inf if self._start.size == math.inf else self._limit.size,
            math.inf if self._start.inodes == math.inf else self._limit.inodes,
        )

    async def full(self, *, running: bool = False) -> bool:
        """Whether it has grown past its limit (or past what can be measured). `running`: a command is.

        While one is, also whether the file system is nearly full.
        """
        room = self._limit - self._grown
        allowance = _Usage(max(room.size, _SLACK.size), max(room.inodes, _SLACK.inodes))
        free = self._free_now()
        if running and free.size < self._reserve:
            return True
        fallen = (self._free - free).exceeds(allowance)
        due = running and time.monotonic() > self._next
        if fallen or due or self._grown.exceeds(self._limit):
            self._free = self._free_now()
            self._grown = await self._measure() - self._start
        return self._grown.exceeds(self._limit)

    async def _measure(self) -> _Usage:
        began = time.monotonic()
        kib, inodes, (size, count) = await asyncio.gather(
            _du(self._root, "-k"),
            _du(self._root, "--inodes"),
            asyncio.to_thread(held, self._root, self._workspace),
        )
        ended = time.monotonic()
        self._next = ended + max(0.9, 20 * (ended - began))
        return _Usage(
            math.inf if kib is None else (kib << 10) + size, math.inf if inodes is None else inodes + count
        )

    def _free_now(self) -> _Usage:
        stat = os.statvfs(self._root)
        return _Usage(stat.f_bfree * stat.f_frsize, stat.f_ffree)


@dataclass(frozen=True, slots=True)
class Call:
    """One command on its way: what to run, for how long, and where its output goes."""

    command: Command
    sink: HeadTail
    timeout: float
    on_output: Callable[[bytes], None] | None

    def say(self, data: bytes) -> None:
        """Put a line of our own into the output."""
        self.sink.feed(data)
        if self.on_output is not None:
            self.on_output(data)

    async def drain(self, read: Callable[[], Awaitable[bytes]], flood: int) -> bool:
        """Read to the end, or until more than `flood` bytes came; True at the end, False at the flood."""
        while data := await read():
            self.say(data)
            if self.sink.total > flood:
                return False
        return True


async def watch(
    ended: asyncio.Task[object],
    drained: asyncio.Task[bool],
    *,
    timeout: float,
    too_much: Callable[[], Awaitable[bool]],
) -> Stop:
    """Wait until the command ended (and return "") or must be ended (and return why).

    `drained` is Call.drain; `too_much` tells about the disk and is asked five times a second. Exceptions of both tasks
    are raised.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while (left := deadline - loop.time()) > 0:
        waiting = {task for task in (ended, drained) if not task.done()}
        if waiting:
            await asyncio.wait(waiting, timeout=min(left, _LOOK_SECONDS), return_when=asyncio.FIRST_COMPLETED)
        if drained.done() and not drained.result():
            return "output"
        if ended.done():
            ended.result()
            return ""
        if await too_much():
            return "disk"
    return "timeout"


async def last_words(drained: asyncio.Task[bool]) -> None:
    """Let the output of a command that has ended arrive, for at most 2 s. Raises what the reader raised."""
    await asyncio.wait({drained}, timeout=2.0)
    if drained.done():
        drained.result()
