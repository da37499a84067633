"""`coder --serve-web`: print the address, serve until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from coder.errors import UsageError
from coder.web.access import Access


def serve(arguments: Sequence[str], port: int, *, has_task: bool, say: Callable[[str], None]) -> int:
    """Serve the window on 127.0.0.1; each tab runs `coder` with the other `arguments`. `port` 0 takes a free one; the
    address goes to `say`. Returns the exit status.

    Raises UsageError without the extra, with a task (each tab would begin it) or with a port that is taken.
    """
    if has_task:
        raise UsageError("--serve-web takes no task", hint="Type it into the page.")
    try:
        import aiohttp  # noqa: F401
        import textual_serve  # noqa: F401
    except ImportError:
        raise UsageError(
            "--serve-web needs the packages of the extra `web`", hint="pip install 'nemotron-coder[web]'"
        ) from None
    command = [sys.executable, "-P", "-m", "coder", *passed_on(arguments)]
    with suppress(asyncio.CancelledError):
        asyncio.run(_serve(command, _environment(os.environ), port, say))
    return 0


def passed_on(arguments: Sequence[str]) -> list[str]:
    """What a tab's program is started with: everything but what is for the server."""
    rest, after = [], ""
    for argument in arguments:
        if (
            after != "--port"
            and argument not in ("--serve-web", "--port")
            and not argument.startswith("--port=")
        ):
            rest.append(argument)
        after = argument
    return rest


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What xterm.js is, whatever terminal this server was started from."""
    here = {
        name: value for name, value in environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES", "TMUX")
    }
    return {**here, "TERM": "xterm-256color", "COLORTERM": "truecolor", "TERM_PROGRAM": "xterm.js"}


async def _serve(
    command: Sequence[str], environ: Mapping[str, str], port: int, say: Callable[[str], None]
) -> None:
    import socket

    from aiohttp import web

    from coder.web.server import make_app

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be had: {error.strerror}", hint="Leave --port away for a free one."
        ) from error
    access = Access(listener.getsockname()[1])
    runner = web.AppRunner(make_app(access, command, environ), access_log=None)
    await runner.setup()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    try:
        await web.SockSite(runner, listener).start()
        say(f"{access.address}\nWhoever has this address can do here what you can. Ctrl-C ends it.")
        await ended.wait()
    finally:
        await runner.cleanup()
