"""The proxy on real sockets: what it passes on, what it refuses, and that nothing keeps it waiting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings

from sandbox.destinations import forbidden
from sandbox.relay import Limits
from tests.sandbox.outside import QUICK, Names, Outside, Proxy, outside
from tests.sandbox.test_http_head import HEADS, MALFORMED


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Outside]:
    async with outside() as it:
        yield it


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(tmp_path, ["outside.test", "a.outside.test", "evil.test"])


def proxy_for(server: Outside, names: Names) -> Proxy:
    return Proxy(names, [f"outside.test:{server.port}"])


# What it passes on


async def test_a_plain_request_reaches_its_host_and_is_the_only_one(server: Outside, names: Names) -> None:
    proxy = proxy_for(server, names)
    url = f"http://outside.test:{server.port}/path"
    second = b"GET http://evil.test/ HTTP/1.1\r\n\r\n"
    answer = await proxy.ask(f"GET {url} HTTP/1.1\r\nHost: evil.test\r\n\r\n".encode() + second)
    assert answer.endswith(b"seen GET /path HTTP/1.1")
    assert server.heads == [
        f"GET /path HTTP/1.1\r\nHost: outside.test:{server.port}\r\nConnection: close\r\n\r\n".encode()
    ]
    assert names.asked == ["outside.test"]
    await proxy.settled()
    [attempt] = proxy.attempts
    assert (attempt.host, attempt.port, attempt.allowed, attempt.count) == (
        "outside.test",
        server.port,
        True,
        1,
    )
    assert attempt.bytes > len(answer)


async def test_a_body_arrives_whole_and_what_follows_it_does_not(server: Outside, names: Names) -> None:
    proxy = proxy_for(server, names)
    head = f"POST http://outside.test:{server.port}/ HTTP/1.1\r\n"
    body = b"x" * 300_000
    answer = await proxy.ask(
        f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body + b"GET / HTTP/1.1\r\n\r\n"
    )
    assert answer.endswith(b"seen " + body)
    answer = await proxy.ask(
        f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        + b"3;x=y\r\nabc\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    )
    assert answer.endswith(b"seen 3\r\nabc\r\n0\r\n\r\n")
    assert server.bodies == [body, b"3\r\nabc\r\n0\r\n\r\n"]
    await proxy.settled()


async def test_a_tunnel_is_opaque(server: Outside, names: Names) -> None:
    proxy = proxy_for(server, names)
    inner = b"CONNECT evil.test:443 HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer = await proxy.ask(f"CONNECT outside.test:{server.port} HTTP/1.1\r\n\r\n".encode() + inner)
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK")
    assert server.heads == [inner]
    assert [attempt.host for attempt in proxy.attempts] == ["outside.test"]
    await proxy.settled()


async def test_much_passes_in_both_directions(server: Outside, names: Names) -> None:
    proxy = proxy_for(server, names)
    body = bytes(range(256)) * 20_000
    head = f"CONNECT outside.test:{server.port} HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = await proxy.ask(head.encode() + body)
    assert answer.endswith(b"seen " + body)
    await proxy.settled()


# What it refuses


@pytest.mark.parametrize(
    "target",
    ["evil.test:443", "evil.test:80", "outside.test:443", "a.outside.test:{port}", "outside.test.evil.test:{port}", "127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "[::ffff:127.0.0.1]:{port}"],
)  # fmt: skip
async def test_what_is_not_allowed_is_not_even_looked_up(server: Outside, names: Names, target: str) -> None:
    proxy = proxy_for(server, names)
    target = target.format(port=server.port)
    answer = await proxy.ask(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    _head, _, text = answer.decode().partition("\r\n\r\n")
    assert text.count("\n") == 1
    assert "--allow-host" in text
    assert names.asked == []
    assert server.connections == 0
    [attempt] = proxy.attempts
    assert not attempt.allowed


async def test_the_refusal_names_the_flag_that_would_allow_it(server: Outside, names: Names) -> None:
    proxy = proxy_for(server, names)
    assert b"The user can allow it with --allow-host evil.test\n" in await proxy.ask(
        b"GET http://evil.test/ HTTP/1.1\r\n\r\n"
    )
    assert b"with --allow-host evil.test:8080\n" in await proxy.ask(
        b"CONNECT evil.test:8080 HTTP/1.1\r\n\r\n"
    )


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_request_connects_to_nothing(tmp_path: Path, name: str) -> None:
    names = Names(tmp_path)
    proxy = Proxy(names, ["example.org", "*.example.org"], is_open=True, limits=QUICK)
    answer = await proxy.ask(MALFORMED[name], then_end=True)
    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b""
    assert names.asked == []
    await proxy.settled()


@given(HEADS)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_request_raises_or_reaches_what_is_not_allowed(tmp_path: Path, head: bytes) -> None:
    async def ask() -> None:
        names = Names(tmp_path)
        proxy = Proxy(names, ["only.example"], limits=QUICK)
        await proxy.ask(head + b"\r\n\r\n", then_end=True)
        await proxy.settled()
        assert names.asked == []
        assert not any(attempt.allowed for attempt in proxy.attempts)
        names.close()

    asyncio.run(ask())


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "0.0.0.0", "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00:ec2::254"]
)  # fmt: skip
@pytest.mark.parametrize("is_open", [False, True])
async def test_a_name_server_cannot_make_a_name_mean_this_machine(
    tmp_path: Path, address: str, is_open: bool
) -> None:
    names = Names(tmp_path, elsewhere={"rebound.test": ["192.0.2.1", address]})
    proxy = Proxy(names, [] if is_open else ["rebound.test", "*.test"], is_open=is_open)
    for request in (b"CONNECT rebound.test:443", b"GET http://rebound.test/"):
        assert (await proxy.ask(request + b" HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 403 ")
    [attempt] = {attempt.why for attempt in proxy.attempts}
    assert forbidden_reason(address) in attempt


def forbidden_reason(address: str) -> str:
    from ipaddress import ip_address

    return forbidden(ip_address(address))


async def test_a_name_is_looked_up_once_for_a_request(server: Outside, tmp_path: Path) -> None:
    class Rebinding(Names):
        async def lookup(self, host: str):  # type: ignore[no-untyped-def]
            found = await super().lookup(host)
            self._elsewhere = {host: ["169.254.169.254"]}
            return found

    names = Rebinding(tmp_path, ["outside.test"])
    proxy = proxy_for(server, names)
    request = f"GET http://outside.test:{server.port}/ HTTP/1.1\r\n\r\n".encode()
    assert b" 200 OK" in await proxy.ask(request)
    assert b" 403 Forbidden" in await proxy.ask(request)
    assert server.connections == 1


@pytest.mark.parametrize("target", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254", "[fe80::1]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "224.0.0.1", "100.100.100.200", "named-here.test"])  # fmt: skip
async def test_even_an_open_proxy_leads_to_no_address_of_this_machine(tmp_path: Path, target: str) -> None:
    proxy = Proxy(Names(tmp_path, ["named-here.test"]), is_open=True)
    answer = await proxy.ask(f"CONNECT {target}:443 HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")


async def test_an_open_proxy_leads_to_this_machine_where_a_rule_names_it(
    server: Outside, names: Names
) -> None:
    for rule in (f"127.0.0.1:{server.port}", f"outside.test:{server.port}", f"localhost:{server.port}"):
        proxy = Proxy(names, [rule], is_open=True)
        answer = await proxy.ask(f"GET http://{rule}/ HTTP/1.1\r\n\r\n".encode())
        assert answer.endswith(b"seen GET / HTTP/1.1")
    proxy = Proxy(names, [f"*.test:{server.port}"], is_open=True)
    answer = await proxy.ask(f"GET http://outside.test:{server.port}/ HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")  # a wildcard names nobody


async def test_an_open_proxy_leads_to_two_ports(names: Names) -> None:
    proxy = Proxy(names, is_open=True)
    for port in (22, 25, 8080):
        answer = await proxy.ask(f"CONNECT 192.0.2.1:{port} HTTP/1.1\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 403 ")


async def test_a_host_that_cannot_be_reached_is_said_to_be(names: Names, tmp_path: Path) -> None:
    proxy = Proxy(names, ["evil.test:1", "nowhere.invalid"])
    assert b"502 Bad Gateway" in await proxy.ask(b"CONNECT evil.test:1 HTTP/1.1\r\n\r\n")
    assert b"cannot be looked up" in await proxy.ask(b"CONNECT nowhere.invalid:443 HTTP/1.1\r\n\r\n")


# What keeps it waiting


@pytest.mark.parametrize("data", [b"", b"G", b"GET http://outside.test/ HTTP/1.1\r\nA: b\r\n"])
async def test_a_head_that_does_not_come_is_not_waited_for(names: Names, data: bytes) -> None:
    proxy = Proxy(names, limits=QUICK)
    assert b"did not come in time" in await proxy.ask(data)
    await proxy.settled()


async def test_a_head_without_an_end_is_not_kept(names: Names) -> None:
    proxy = Proxy(names)
    _reader, writer = await proxy.connect()
    with contextlib.suppress(OSError):
        for _ in range(1000):
            writer.write(b"A" * 1000)
            await writer.drain()
    writer.close()
    await proxy.settled()
    assert [attempt.why for attempt in proxy.attempts] == ["malformed request: the head is too long"]


@pytest.mark.parametrize(
    "body",
    [
        "Content-Length: 9\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n9\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_a_body_that_does_not_come_ends_the_connection(
    server: Outside, names: Names, body: str
) -> None:
    proxy = Proxy(names, [f"outside.test:{server.port}"], limits=QUICK)
    assert await proxy.ask(f"POST http://outside.test:{server.port}/ HTTP/1.1\r\n{body}".encode()) == b""
    await proxy.settled()


@pytest.mark.parametrize(
    "chunk",
    [
        "xyz\r\n",
        "-1\r\n",
        "3\r\nabcde\r\n",
        "fffffffff\r\n",
        " 3\r\nabc\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3 ;\0\r\n",
    ],
)
async def test_chunks_that_could_be_read_in_two_ways_end_the_connection(
    server: Outside, names: Names, chunk: str
) -> None:
    proxy = Proxy(names, [f"outside.test:{server.port}"], limits=QUICK)
    head = f"POST http://outside.test:{server.port}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
    assert await proxy.ask(head.encode()) == b""
    assert server.bodies == []
    await proxy.settled()


async def test_a_client_that_left_is_not_served_for_long(names: Names) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(deaf, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    proxy = Proxy(names, [f"outside.test:{port}"], limits=Limits(head=0.3))
    answer = await proxy.ask(f"GET http://outside.test:{port}/ HTTP/1.1\r\n\r\n".encode(), then_end=True)
    assert answer == b""
    await proxy.settled()
    listening.close()


async def test_a_silent_tunnel_ends(server: Outside, names: Names) -> None:
    proxy = Proxy(names, [f"outside.test:{server.port}"], limits=QUICK)
    answer = await proxy.ask(f"CONNECT outside.test:{server.port} HTTP/1.1\r\n\r\n".encode())
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"
    await proxy.settled()


async def test_the_record_is_bounded_however_much_is_tried(names: Names) -> None:
    proxy = Proxy(names)
    for number in range(300):
        await proxy.ask(f"CONNECT host-{number}.test:443 HTTP/1.1\r\n\r\n".encode())
    assert len(proxy.attempts) == 201
    assert proxy.attempts[-1].count == 100
    assert "more than 200" in proxy.attempts[-1].why
