"""The head of a request: read strictly, forwarded without what is not for the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.destinations import Malformed
from sandbox.http_head import MAX_HEAD, MAX_HEADERS, Request, compose, parse

GET = b"GET http://example.org/ HTTP/1.1\r\n"
POST = b"POST http://example.org/ HTTP/1.1\r\n"


def test_a_tunnel_has_a_host_and_a_port() -> None:
    head = b"CONNECT Example.org:443 HTTP/1.1\r\nHost: example.org:443\r\nUser-Agent: x\r\n\r\n"
    assert parse(head) == Request("example.org", 443, tunnel=True)


def test_a_plain_request_is_forwarded_without_what_is_meant_for_the_proxy() -> None:
    request = parse(
        b"POST http://Example.org:8080/a?b=c HTTP/1.1\r\nHost: elsewhere.test\r\nAccept: */*\r\nX-Secret: 1\r\n"
        b"Connection: keep-alive, X-Secret, Content-Length\r\nKeep-Alive: timeout=5\r\nProxy-Authorization: Basic eA==\r\n"
        b"Proxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\nContent-Length: 3\r\nCookie: a=\xe4\r\n\r\n"
    )
    assert (request.host, request.port, request.length) == ("example.org", 8080, 3)
    assert compose(request, request.path, "example.org:8080") == (
        b"POST /a?b=c HTTP/1.1\r\nHost: example.org:8080\r\nAccept: */*\r\nCookie: a=\xe4\r\n"
        b"Content-Length: 3\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("target", "path"), [("http://a", "/"), ("http://a?x", "/?x"), ("HTTP://A/b//c", "/b//c"), ("http://a:80/%00", "/%00")]
)  # fmt: skip
def test_the_path_is_left_as_it_is(target: str, path: str) -> None:
    request = parse(f"GET {target} HTTP/1.0\r\n\r\n".encode())
    assert (request.host, request.port, request.path, request.version) == ("a", 80, path, "HTTP/1.0")


def test_a_body_in_chunks_stays_in_chunks() -> None:
    request = parse(POST + b"Transfer-Encoding: Chunked\r\n\r\n")
    assert request.length is None
    assert b"\r\nTransfer-Encoding: chunked\r\n" in compose(request, "/", "example.org")


MALFORMED = {
    "empty": b"\r\n\r\n",
    "no end": GET,
    "a bare line feed": b"GET http://example.org/ HTTP/1.1\nHost: a\n\n",
    "a bare line feed among headers": GET + b"A: b\nEvil: c\r\n\r\n",
    "a bare carriage return": GET + b"A: b\rEvil: c\r\n\r\n",
    "a NUL in a header": GET + b"A: b\0c\r\n\r\n",
    "a NUL in the host": b"GET http://evil.test\0.example.org/ HTTP/1.1\r\n\r\n",
    "a NUL in a tunnel": b"CONNECT evil.test\0.example.org:443 HTTP/1.1\r\n\r\n",
    "an escape in the host": b"GET http://example%2eorg/ HTTP/1.1\r\n\r\n",
    "an escape in a tunnel": b"CONNECT evil.test%00.example.org:443 HTTP/1.1\r\n\r\n",
    "a user in the host": b"GET http://example.org@evil.test/ HTTP/1.1\r\n\r\n",
    "a user in a tunnel": b"CONNECT example.org@evil.test:443 HTTP/1.1\r\n\r\n",
    "a backslash in the host": b"GET http://example.org\\@evil.test/ HTTP/1.1\r\n\r\n",
    "a fragment": b"GET http://example.org#@evil.test/ HTTP/1.1\r\n\r\n",
    "a fragment in the path": b"GET http://example.org/#x HTTP/1.1\r\n\r\n",
    "two spaces": b"GET  http://example.org/ HTTP/1.1\r\n\r\n",
    "a space in the target": b"GET http://example.org/ evil HTTP/1.1\r\n\r\n",
    "a tab in the request line": b"GET\thttp://example.org/ HTTP/1.1\r\n\r\n",
    "no version": b"GET http://example.org/\r\n\r\n",
    "an old version": b"GET http://example.org/ HTTP/0.9\r\n\r\n",
    "a new version": b"PRI * HTTP/2.0\r\n\r\n",
    "an unknown version": b"GET http://example.org/ HTTP/1.10\r\n\r\n",
    "a method in lower case": b"get http://example.org/ HTTP/1.1\r\n\r\n",
    "a request for the proxy itself": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "https without a tunnel": b"GET https://example.org/ HTTP/1.1\r\n\r\n",
    "another scheme": b"GET ftp://example.org/ HTTP/1.1\r\n\r\n",
    "no host": b"GET http:///path HTTP/1.1\r\n\r\n",
    "no scheme": b"GET //example.org/ HTTP/1.1\r\n\r\n",
    "a tunnel without a port": b"CONNECT example.org HTTP/1.1\r\n\r\n",
    "a tunnel to a URL": b"CONNECT http://example.org:443/ HTTP/1.1\r\n\r\n",
    "a tunnel to an odd port": b"CONNECT example.org:443x HTTP/1.1\r\n\r\n",
    "a tunnel with a length": b"CONNECT example.org:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
    "a tunnel with chunks": b"CONNECT example.org:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an IPv6 zone": b"CONNECT [fe80::1%eth0]:443 HTTP/1.1\r\n\r\n",
    "an address as one number": b"CONNECT 2130706433:443 HTTP/1.1\r\n\r\n",
    "an address in octal": b"CONNECT 0177.0.0.1:443 HTTP/1.1\r\n\r\n",
    "an address in hexadecimal": b"CONNECT 0x7f.0.0.1:443 HTTP/1.1\r\n\r\n",
    "a short address": b"GET http://127.1/ HTTP/1.1\r\n\r\n",
    "bytes beyond ASCII in the target": "GET http://ex\u00e4mple.org/ HTTP/1.1\r\n\r\n".encode(),
    "two hosts": GET + b"Host: a\r\nHost: b\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 1, 1\r\n\r\n",
    "a signed length": POST + b"Content-Length: +1\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length in hexadecimal": POST + b"Content-Length: 0x1\r\n\r\n",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "a length with a blank": POST + b"Content-Length: 1 1\r\n\r\n",
    "a huge length": POST + b"Content-Length: 9999999999999999\r\n\r\n",
    "a length and chunks": POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "another coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "a vertical tab in a coding": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n",
    "chunks in HTTP/1.0": b"POST http://example.org/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a folded header": GET + b"A: b\r\n c\r\n\r\n",
    "a folded first header": GET + b" A: b\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 1\r\n\r\n",
    "a header without a name": GET + b": b\r\n\r\n",
    "a header without a colon": GET + b"evil\r\n\r\n",
    "a header's name beyond ASCII": GET + b"\xe4: b\r\n\r\n",
    "too many headers": GET + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    "a giant head": GET + b"A: " + b"b" * MAX_HEAD + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_could_be_read_in_two_ways_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        parse(MALFORMED[name])


def test_a_head_ends_at_its_first_empty_line() -> None:
    with pytest.raises(Malformed, match="not a header"):
        parse(GET + b"\r\nGET http://evil.test/ HTTP/1.1\r\n\r\n")


HEADS = st.binary(max_size=80) | st.lists(
    st.sampled_from(
        [b"GET ", b"CONNECT ", b"POST ", b"http://", b"a.example", b":80", b"/", b" HTTP/1.1", b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b"@", b"%00", b"[::1]", b"Content-Length: 1", b"Transfer-Encoding: chunked", b"Host: b", b"Connection: host"]
    ),
    max_size=14,
).map(b"".join)  # fmt: skip


@given(HEADS)
def test_whatever_comes_it_is_read_or_refused_and_what_goes_on_is_one_request(head: bytes) -> None:
    try:
        request = parse(head + b"\r\n\r\n")
    except Malformed:
        return
    if not request.tunnel:
        composed = compose(request, request.path, request.host)
        assert composed.count(b"\r\n\r\n") == 1
        assert composed.count(b"\n") == composed.count(b"\r\n")
        assert len([line for line in composed.lower().split(b"\r\n") if line.startswith(b"host:")]) == 1
