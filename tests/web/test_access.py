"""Nobody but the holder of the address, from a page of this server, gets a terminal."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from coder.web.access import Access
from coder.web.server import make_app

ECHO = [
    sys.executable,
    "-c",
    "import os,sys; print('size', *os.get_terminal_size()); [print('got', line.strip()[::-1]) for line in sys.stdin]",
]


@dataclass(frozen=True)
class Served:
    access: Access
    client: aiohttp.ClientSession

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.access.port}"

    @property
    def socket(self) -> str:
        return f"{self.access.address}ws?width=91&height=17"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    access = Access(listener.getsockname()[1])
    runner = web.AppRunner(make_app(access, ECHO, {"TERM": "xterm"}))
    await runner.setup()
    await web.SockSite(runner, listener).start()
    async with aiohttp.ClientSession() as client:
        yield Served(access, client)
    await runner.cleanup()


async def heard(socket: aiohttp.ClientWebSocketResponse, pattern: str) -> str:
    """What the terminal shows, once `pattern` is in it."""
    text = ""
    async with asyncio.timeout(20):
        while not re.search(pattern, text):
            message = await socket.receive()
            assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), (message, text)
            text += message.data.decode() if isinstance(message.data, bytes) else message.data
    return text


async def test_a_page_of_ours_gets_a_terminal_of_its_size(served: Served) -> None:
    async with served.client.ws_connect(served.socket, headers={"Origin": served.root}) as opened:
        await heard(opened, "size 91 17")
        await opened.send_str(json.dumps(["stdin", "abc\r"]))
        await heard(opened, "got cba")
        await opened.send_str(json.dumps(["ping", "5"]))
        await heard(opened, '"pong", ?"5"')
        await opened.send_str(json.dumps(["stdin", "\x04"]))
        async with asyncio.timeout(20):
            while (await opened.receive()).type is not aiohttp.WSMsgType.CLOSE:
                pass


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("wrong/ws", {"Origin": "OURS"}),
        ("SECRET/ws", {}),
        ("SECRET/ws", {"Origin": "null"}),
        ("SECRET/ws", {"Origin": "http://evil.example"}),
        ("SECRET/ws", {"Origin": "http://evil.example", "Host": "evil.example"}),
        ("SECRET/ws", {"Origin": "http://evil.example:PORT", "Host": "evil.example:PORT"}),
        ("SECRET/ws", {"Origin": "https://127.0.0.1:PORT"}),
        ("SECRET/ws", {"Origin": "http://127.0.0.1:1"}),
    ],
)
async def test_nobody_else_does(served: Served, path: str, headers: dict[str, str]) -> None:
    port = str(served.access.port)
    sent = {name: value.replace("OURS", served.root).replace("PORT", port) for name, value in headers.items()}
    url = f"{served.root}/{path.replace('SECRET', served.access.secret)}"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await served.client.ws_connect(url, headers=sent)
    assert refused.value.status in (403, 404)


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("SECRET/", "", 200),
        ("", "", 404),
        ("wrong/", "", 404),
        ("SECRET/", "evil.example", 403),
        ("static/js/textual.js", "", 200),
        ("static/", "", 403),
        ("static/../server.py", "", 404),
        ("static/%2e%2e/server.py", "", 404),
        ("download/x", "", 404),
    ],
)
async def test_every_answer_has_the_strict_headers(served: Served, path: str, host: str, status: int) -> None:
    headers = {"Host": host} if host else {}
    url = f"{served.root}/{path.replace('SECRET', served.access.secret)}"
    async with served.client.get(url, headers=headers) as answer:
        assert answer.status == status
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert served.access.secret not in (await answer.text() if status != 200 else "")


async def test_the_page_names_no_other_place(served: Served) -> None:
    async with served.client.get(served.access.address) as answer:
        page = await answer.text()
    places = re.findall(r"(?<![-\w])(?:src|href|url)\s*[=(]\s*[\"']([^\"']*)", page)
    assert places
    assert all(place.startswith("/static/") or place in ("", "data:,") for place in places)
    assert re.findall(r"\w+://[^/\"]+", page) == [f"ws://127.0.0.1:{served.access.port}"]


@pytest.mark.parametrize("message", ["", "[", "{}", '["stdin"]', '["stdin", 5]', '["resize", {"width": "x"}]', "[[[[", '["resize", {"width": -1, "height": 99999999999}]'])  # fmt: skip
async def test_what_is_no_message_is_left_alone(served: Served, message: str) -> None:
    async with served.client.ws_connect(served.socket, headers={"Origin": served.root}) as opened:
        await opened.send_str(message)
        await opened.send_bytes(b"\xff")
        await opened.send_str(json.dumps(["stdin", "abc\r"]))
        await heard(opened, "got cba")
