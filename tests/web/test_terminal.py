"""A program in a terminal of its own ends with its tab, also one that does not want to."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from coder.web import terminal as rooms
from coder.web.terminal import Terminal

ENVIRON = {**os.environ, "TERM": "xterm"}


async def first(opened: Terminal, words: bytes) -> bytes:
    seen = b""
    async for data in opened.output():
        seen += data
        if words in seen:
            break
    return seen


async def test_it_hears_of_a_new_size() -> None:
    script = (
        "import os,signal,time\n"
        "signal.signal(signal.SIGWINCH, lambda *_: print('now', *os.get_terminal_size(), flush=True))\n"
        "print('ready', os.isatty(0), flush=True)\nwhile True: time.sleep(0.1)"
    )
    opened = await Terminal.open([sys.executable, "-c", script], ENVIRON, (80, 24))
    try:
        async with asyncio.timeout(30):
            assert b"ready True" in await first(opened, b"ready True")
            opened.resize(123, 45)
            assert b"now 123 45" in await first(opened, b"now 123 45")
    finally:
        await opened.close()


async def test_it_ends_with_its_tab_also_when_it_does_not_want_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "PATIENCE", 0.5)
    script = "import signal,time\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(60)"
    opened = await Terminal.open([sys.executable, "-c", script], ENVIRON, (80, 24))
    async with asyncio.timeout(30):
        await first(opened, b"ready")
        await opened.close()
    assert opened._process.returncode == -9


async def test_a_program_that_cannot_be_started_leaves_no_terminal_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No such file"):
        await Terminal.open(["/nonexistent"], ENVIRON, (80, 24))
    assert len(os.listdir("/proc/self/fd")) == before


async def test_much_output_comes_whole() -> None:
    script = "print('x' * 3_000_000 + 'end', flush=True)"
    opened = await Terminal.open([sys.executable, "-c", script], ENVIRON, (80, 24))
    count = 0
    async with asyncio.timeout(60):
        async for data in opened.output():
            count += data.count(b"x")
    await opened.close()
    assert count == 3_000_000
