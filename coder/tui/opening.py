"""From a terminal to a window and back: what is loaded when, and what stays on the screen afterwards."""

from __future__ import annotations

import asyncio
import gc
import sys

from coder.tui.link import Connect
from coder.tui.settings import Settings
from coder.tui.terminal import POP_TITLE, PUSH_TITLE, title
from coder.workflows.port import Mode


def run_window(connect: Connect, settings: Settings, *, task: str, mode: Mode, dump: bool) -> int:
    """Show the window until it is left; returns the exit status. `dump` leaves the transcript in the scrollback."""
    from coder.tui.app import Window

    window = Window(connect, settings, task=task, mode=mode)

    async def main() -> None:
        title(PUSH_TITLE)
        try:
            await window.run_async(mouse=settings.mouse)
        finally:
            title(POP_TITLE)
            await window.leave()

    gc.disable()  # on again after the first paint: collecting while everything is being loaded finds nothing
    asyncio.run(main())
    if dump:
        for line in window.transcript.lines(80):
            sys.stdout.write(line + "\n")
    return window.return_code or 0
