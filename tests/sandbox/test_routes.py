"""This machine's own proxy on the way out, and its password."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.errors import SandboxUnavailable
from sandbox.network import Network
from sandbox.routes import Upstream
from tests.sandbox.outside import Names, Outside, Proxy, outside

SECRET = "p@ss:w/rd"
URL_SECRET = "p%40ss%3Aw%2Frd"
BASIC = base64.b64encode(f"me:{SECRET}".encode())


class Corporate:
    """A proxy that lets everything through to one server, or answers `status`."""

    def __init__(self, server: Outside, status: bytes) -> None:
        self.heads: list[bytes] = []
        self._server = server
        self._status = status

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 " + self._status + b"\r\nX-Secret: of the company\r\n\r\n")
                if self._status.startswith(b"200"):
                    return await self._server.answer(reader, writer)
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nthrough")
        writer.close()
        return None


@contextlib.asynccontextmanager
async def corporate(
    server: Outside, status: bytes = b"200 OK"
) -> AsyncIterator[tuple[Corporate, dict[str, str]]]:
    it = Corporate(server, status)
    listening = await asyncio.start_server(it.answer, "127.0.0.1", 0)
    url = f"http://me:{URL_SECRET}@127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield it, {"HTTPS_PROXY": url, "http_proxy": url, "NO_PROXY": "direct.test,.inside.test"}
    finally:
        listening.close()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Outside]:
    async with outside() as it:
        yield it


async def test_a_tunnel_goes_through_this_machines_proxy_by_name(server: Outside, tmp_path: Path) -> None:
    async with corporate(server) as (it, environ):
        proxy = Proxy(Names(tmp_path), ["far.invalid"], environ=environ)
        answer = await proxy.ask(
            b"CONNECT far.invalid:443 HTTP/1.1\r\nProxy-Authorization: Basic aW5zaWRl\r\n\r\nGET /x HTTP/1.1\r\nConnection: close\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK")
    assert it.heads == [
        b"CONNECT far.invalid:443 HTTP/1.1\r\nHost: far.invalid:443\r\nProxy-Authorization: Basic "
        + BASIC
        + b"\r\n\r\n"
    ]


async def test_a_plain_request_goes_through_it_whole(server: Outside, tmp_path: Path) -> None:
    async with corporate(server) as (it, environ):
        proxy = Proxy(Names(tmp_path), ["far.invalid"], environ=environ)
        answer = await proxy.ask(
            b"GET http://far.invalid/x HTTP/1.1\r\nProxy-Authorization: Basic aW5zaWRl\r\n\r\n"
        )
    assert answer.endswith(b"through")
    [head] = it.heads
    assert head.startswith(b"GET http://far.invalid/x HTTP/1.1\r\nHost: far.invalid\r\n")
    assert head.count(b"Proxy-Authorization") == 1
    assert BASIC in head


async def test_its_refusal_is_told_without_its_words_or_our_password(server: Outside, tmp_path: Path) -> None:
    async with corporate(server, b"407 Proxy Authentication Required") as (_, environ):
        proxy = Proxy(Names(tmp_path), ["far.invalid"], environ=environ)
        answer = await proxy.ask(b"CONNECT far.invalid:443 HTTP/1.1\r\n\r\n")
        shown = answer + repr((proxy.attempts, vars(proxy.router))).encode()
    assert b"502 Bad Gateway" in answer
    assert b"this machine's proxy answered 407" in answer
    assert b"of the company" not in shown
    assert BASIC not in shown
    assert SECRET.encode() not in shown


async def test_what_this_machine_reaches_directly_is_reached_directly(
    server: Outside, tmp_path: Path
) -> None:
    names = Names(tmp_path, ["direct.test", "a.inside.test", "here.test"])
    rules = [f"{name}:{server.port}" for name in ("direct.test", "a.inside.test", "here.test")]
    async with corporate(server) as (it, environ):
        for rule in rules:
            proxy = Proxy(names, [rule], environ=environ)
            assert (await proxy.ask(f"GET http://{rule}/ HTTP/1.1\r\n\r\n".encode())).endswith(
                b"seen GET / HTTP/1.1"
            )
    assert it.heads == []


async def test_behind_a_proxy_too_no_name_may_mean_this_machine(server: Outside, tmp_path: Path) -> None:
    names = Names(tmp_path, elsewhere={"rebound.test": ["127.0.0.1"]})
    async with corporate(server) as (it, environ):
        for is_open in (False, True):
            proxy = Proxy(names, ["rebound.test"], environ=environ, is_open=is_open)
            assert b"403 Forbidden" in await proxy.ask(b"CONNECT rebound.test:443 HTTP/1.1\r\n\r\n")
            assert b"403 Forbidden" in await proxy.ask(b"CONNECT 169.254.169.254:443 HTTP/1.1\r\n\r\n")
    assert it.heads == []


async def test_a_proxy_that_is_gone_is_told(server: Outside, tmp_path: Path) -> None:
    proxy = Proxy(Names(tmp_path), ["far.invalid"], environ={"https_proxy": f"me:{URL_SECRET}@127.0.0.1:1"})
    answer = await proxy.ask(b"CONNECT far.invalid:443 HTTP/1.1\r\n\r\n")
    assert b"this machine's proxy does not answer" in answer
    assert URL_SECRET.encode() not in answer


@pytest.mark.parametrize(
    "url",
    [f"socks5://me:{URL_SECRET}@proxy:1080", f"http://me:{SECRET}@proxy", "http://", "http://proxy:99999"],
)
async def test_a_proxy_that_cannot_be_used_is_said_without_its_password(url: str) -> None:
    network = Network(["far.invalid"], environ={"all_proxy": url})
    with pytest.raises(SandboxUnavailable, match="proxy") as caught:
        await network.start()
    assert caught.value.hint
    assert "ss:w" not in str(caught.value)
    assert URL_SECRET not in str(caught.value)
    await network.close()


def test_its_password_is_in_no_representation() -> None:
    upstream = Upstream.parse(f"https://me:{URL_SECRET}@proxy.test")
    assert (upstream.host, upstream.port, upstream.tls) == ("proxy.test", 443, True)
    assert upstream.authorization == f"Basic {BASIC.decode()}"
    assert BASIC.decode() not in repr(upstream)
