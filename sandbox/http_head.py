"""Reads the head of a request to the proxy, strictly: what two programs could understand differently is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.destinations import Malformed, split_authority

MAX_HEAD = 16 * 1024
"""Bytes, with the empty line at its end."""
MAX_HEADERS = 100

_REQUEST = re.compile(rb"([A-Z][A-Z-]{0,19}) ([\x21-\x7e]+) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ABSOLUTE = re.compile(r"http://([^/?#]*)([/?].*)?", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,15}")

# RFC 9110, 7.6.1, and what speaks to the proxy alone; length and coding are written anew
_HOP_BY_HOP = frozenset(
    ("connection", "content-length", "host", "http2-settings", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """A request for the canonical `host` and `port`. A tunnel has no more than that."""

    host: str
    port: int
    tunnel: bool
    method: str = ""
    path: str = ""
    version: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """Those that are for the server."""
    length: int | None = 0
    """Of its body in bytes; None when it comes in chunks."""


def parse(head: bytes) -> Request:
    """The request whose head, up to and with the empty line, is `head`. Raises Malformed."""
    if len(head) > MAX_HEAD:
        raise Malformed("the head is too long")
    if not head.endswith(b"\r\n\r\n"):
        raise Malformed("the head has no end")
    lines = head[:-4].split(b"\r\n")
    if any(_CONTROLS.search(line) for line in lines):
        raise Malformed("a control character")
    if len(lines) > MAX_HEADERS + 1:
        raise Malformed("too many headers")
    found = _REQUEST.fullmatch(lines[0])
    if found is None:
        raise Malformed("not a request line of HTTP/1")
    method, target, minor = (part.decode("ascii") for part in found.groups())
    headers = [_header(line) for line in lines[1:]]
    length = _length(headers, minor)
    if len([name for name, _ in headers if name.lower() == "host"]) > 1:
        raise Malformed("more than one Host")
    if method == "CONNECT":
        return _tunnel(target, length)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or "#" in target:
        raise Malformed("not an http:// address; this is a proxy, and https goes through CONNECT")
    host, port = split_authority(absolute[1])
    path = absolute[2] or "/"
    return Request(
        host=host,
        port=port or 80,
        tunnel=False,
        method=method,
        path=path if path.startswith("/") else f"/{path}",
        version=f"HTTP/1.{minor}",
        headers=tuple(_forwarded(headers)),
        length=length,
    )


def _tunnel(target: str, length: int | None) -> Request:
    host, port = split_authority(target)
    if port is None:
        raise Malformed("CONNECT without a port")
    if length != 0:
        raise Malformed("CONNECT with a body")
    return Request(host, port, tunnel=True)


def _header(line: bytes) -> tuple[str, str]:
    found = _HEADER.fullmatch(line)
    if found is None:
        raise Malformed("not a header")
    return found[1].decode("ascii"), found[2].decode("latin-1")


def _length(headers: list[tuple[str, str]], minor: str) -> int | None:
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    codings = [value.lower() for name, value in headers if name.lower() == "transfer-encoding"]
    if codings:
        if lengths or codings != ["chunked"] or minor == "0":
            raise Malformed("a transfer coding that could be read in two ways")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise Malformed("a length that could be read in two ways")
    return int(lengths[0])


def _forwarded(headers: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    named = {
        word.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for word in value.split(",")
    }
    for name, value in headers:
        lower = name.lower()
        if lower not in _HOP_BY_HOP and lower not in named and not lower.startswith("proxy-"):
            yield name, value


def compose(request: Request, target: str, host: str, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
    """The head that goes to the server (or the next proxy): exactly one request on its connection."""
    body: list[tuple[str, str]] = []
    if request.length is None:
        body = [("Transfer-Encoding", "chunked")]
    elif request.length or request.method in ("POST", "PUT", "PATCH"):
        body = [("Content-Length", str(request.length))]
    headers = [("Host", host), *request.headers, *body, *extra, ("Connection", "close")]
    lines = [f"{request.method} {target} {request.version}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
