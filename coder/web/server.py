"""The page and its WebSocket. Each tab is a program of its own in a terminal of its own.

textual-serve's page and its browser side (xterm.js with its add-ons) are used, not its server: that one starts the
program for whoever connects, hands out files and opens addresses, and its page loads a font from elsewhere. The messages
of the browser side are JSON lists (`["stdin", text]`, `["resize", {"width", "height"}]`, `["ping", time]`); what it gets as
bytes goes to the terminal. Seen in textual-serve 1.1.3.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import textual_serve
from aiohttp import WSMsgType, web

from coder.web.access import HEADERS, Access
from coder.web.terminal import Terminal

MAX_MESSAGE = 1 << 20
"""Bytes of one message from the browser; a pasted text may be long."""

Handler = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]


def make_app(access: Access, command: Sequence[str], environ: Mapping[str, str]) -> web.Application:
    """The server's application; `command` is started for each tab, with `environ`."""
    doors = _Doors(access, command, environ)
    app = web.Application(middlewares=[_guard(access)])
    app.router.add_get("/{secret}/", doors.page)
    app.router.add_get("/{secret}/ws", doors.socket)
    app.router.add_static("/static", Path(textual_serve.__file__).parent / "static")
    app.on_shutdown.append(doors.shut)
    return app


def _guard(access: Access) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not access.is_ours(request.headers.get("Host")):
            raise web.HTTPForbidden(text="this server answers on loopback alone", headers=HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    return guard


class _Doors:
    """The handlers, and the sockets that are open."""

    def __init__(self, access: Access, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._access = access
        self._command = command
        self._environ = environ
        self._open: set[web.WebSocketResponse] = set()

    async def page(self, request: web.Request) -> web.Response:
        self._check(request)
        host, secret = request.headers["Host"], self._access.secret
        text = files("coder.web").joinpath("page.html").read_text()
        return web.Response(
            text=text.replace("{{ socket }}", f"ws://{host}/{secret}/ws"), content_type="text/html"
        )

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        self._check(request)
        if not self._access.from_our_page(request.headers.get("Origin"), request.headers.get("Host")):
            raise web.HTTPForbidden(text="only a page of this server may do that")
        socket = web.WebSocketResponse(heartbeat=30, max_msg_size=MAX_MESSAGE)
        await socket.prepare(request)
        self._open.add(socket)
        try:
            size = _number(request.query.get("width"), 80), _number(request.query.get("height"), 24)
            await _run(socket, await Terminal.open(self._command, self._environ, size))
        finally:
            self._open.discard(socket)
            await socket.close()
        return socket

    async def shut(self, app: web.Application) -> None:
        for socket in list(self._open):
            await socket.close()

    def _check(self, request: web.Request) -> None:
        if not self._access.knows(request.match_info["secret"]):
            raise web.HTTPNotFound


async def _run(socket: web.WebSocketResponse, terminal: Terminal) -> None:
    """Until the program ends or the tab is closed."""
    showing = asyncio.create_task(_show(socket, terminal))
    try:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await _take(message.data, socket, terminal)
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        await terminal.close()


async def _show(socket: web.WebSocketResponse, terminal: Terminal) -> None:
    async for data in terminal.output():
        await socket.send_bytes(data)
    await socket.close()


async def _take(text: str, socket: web.WebSocketResponse, terminal: Terminal) -> None:
    """One message of the browser side; what is none is left alone."""
    try:
        match json.loads(text):
            case ["stdin", str(typed)]:
                await terminal.write(typed.encode("utf-8", "replace"))
            case ["resize", {"width": int(width), "height": int(height)}]:
                terminal.resize(width, height)
            case ["ping", str(time)]:
                await socket.send_json(["pong", time])
            case _:
                pass
    except ValueError:
        pass


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 5 else default
