"""From a terminal to a window and back: what is loaded when, and what stays on the screen afterwards."""

from __future__ import annotations

import asyncio
import gc
import shutil
import signal
import sys

from coder.tui.link import Connect
from coder.tui.settings import Settings
from coder.tui.terminal import POP_TITLE, PUSH_TITLE, title
from coder.workflows.port import Mode


def run_window(
    connect: Connect, settings: Settings, *, task: str, mode: Mode, dump: bool, typed: str = ""
) -> int:
    """Show the window until it is left; returns the exit status. `dump` leaves the transcript in the scrollback,
    `typed` was typed before there was a window."""
    from coder.tui.app import Window

    window = Window(connect, settings, task=task, mode=mode, typed=typed)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, window.exit, 130)
        title(PUSH_TITLE)
        try:
            await window.run_async(mouse=settings.mouse)
        finally:
            title(POP_TITLE)
            await window.leave()

    gc.disable()  # on again after the first paint: collecting while everything is being loaded finds nothing
    asyncio.run(main())
    if dump:
        for line in window.transcript.lines(shutil.get_terminal_size().columns):
            sys.stdout.write(line + "\n")
    return window.return_code or 0
