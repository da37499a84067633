"""Decides what a request may reach, and how: by addresses that were looked up and judged, or by this machine's proxy."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sandbox.destinations import USUAL_PORTS, Address, Rule, address_of, forbidden, shown
from sandbox.http_head import MAX_HEAD

LOOKUP_SECONDS = 10.0
CONNECT_SECONDS = 10.0
_LOOKUPS = 4
_MOST_TRIED = 6
_LOOPBACK: frozenset[Address] = frozenset((ip_address("127.0.0.1"), ip_address("::1")))

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Refused(Exception):
    """A destination that may not be reached; the text says why."""


class Unreachable(Exception):
    """A destination that may be reached, but cannot; the text says why."""


class Resolver:
    """Host names to addresses: this machine's hosts file, then its resolver, in threads of its own."""

    def __init__(self, hosts: Path = Path("/etc/hosts")) -> None:
        self._hosts = hosts
        self._read: tuple[tuple[int, int], dict[str, set[Address]]] = ((0, 0), {})
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")

    def named_here(self, host: str) -> frozenset[Address]:
        """The addresses that this machine itself, and nobody's name server, gives to `host`."""
        found = self._hosts_file().get(host, set())
        return _LOOPBACK.union(found) if host == "localhost" else frozenset(found)

    def _hosts_file(self) -> dict[str, set[Address]]:
        """What it says by name; some have very many lines, so it is read anew only when it was changed."""
        try:
            state = self._hosts.stat()
            version = (state.st_mtime_ns, state.st_size)
            if version != self._read[0]:
                self._read = (version, _parse_hosts(self._hosts.read_text("utf-8", "replace")))
        except OSError:
            return {}
        return self._read[1]

    async def lookup(self, host: str) -> Sequence[Address]:
        """All addresses of `host`. Raises OSError."""
        here = self.named_here(host)
        if here:
            return sorted(here, key=lambda address: (address.version, int(address)))
        asked = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(ip_address(entry[4][0]) for entry in await asked))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _parse_hosts(text: str) -> dict[str, set[Address]]:
    table: dict[str, set[Address]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].lower().split() or [""]
        with contextlib.suppress(ValueError):
            meant = ip_address(address)
            if not meant.is_unspecified:  # a name that was blocked, not one that was given to this machine
                for name in names:
                    table.setdefault(name, set()).add(meant)
    return table


@dataclass(frozen=True, slots=True)
class Upstream:
    """A proxy between this machine and the outside."""

    host: str
    port: int
    tls: bool = False
    authorization: str = field(default="", repr=False)
    """The value of Proxy-Authorization, or empty. Never shown, logged or sent to anybody else."""

    @classmethod
    def parse(cls, url: str) -> Upstream:
        """From a URL as in HTTPS_PROXY. Raises ValueError, without the URL: it may hold a password."""
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port
        except ValueError:
            raise ValueError("a proxy's address cannot be read") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a proxy of kind {parts.scheme[:10]} cannot be used, only http and https")
        secret = ""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            secret = "Basic " + base64.b64encode(pair.encode()).decode()
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), tls, secret)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("Proxy-Authorization", self.authorization),) if self.authorization else ()

    async def connect(self) -> Streams:
        """A connection to the proxy itself. Raises Unreachable."""
        tls = ssl.create_default_context() if self.tls else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(self.host, self.port, limit=MAX_HEAD, ssl=tls)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"this machine's proxy does not answer ({_reason(error)})") from error

    async def tunnel(self, host: str, port: int) -> Streams:
        """A connection through the proxy to a host. Raises Unreachable."""
        reader, writer = await self.connect()
        name = shown(host, port)
        fields = "".join(f"{key}: {value}\r\n" for key, value in (("Host", name), *self.headers))
        try:
            writer.write(f"CONNECT {name} HTTP/1.1\r\n{fields}\r\n".encode())
            async with asyncio.timeout(CONNECT_SECONDS):
                answer = await reader.readuntil(b"\r\n\r\n")
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            writer.close()
            raise Unreachable(f"this machine's proxy does not answer ({_reason(error)})") from error
        words = answer.split(b"\r\n", 1)[0].split()
        if len(words) < 2 or words[1] != b"200":
            writer.close()
            status = words[1].decode("ascii", "replace")[:3] if len(words) > 1 else "nothing"
            raise Unreachable(f"this machine's proxy answered {status if status.isdigit() else 'nonsense'}")
        return reader, writer


@dataclass(frozen=True, slots=True)
class Route:
    """A way that was found to be allowed: to one of `addresses`, or through `upstream`."""

    host: str
    port: int
    addresses: Sequence[Address] = ()
    upstream: Upstream | None = None

    async def connect(self) -> Streams:
        """Raises Unreachable. Nothing is looked up again."""
        problem = "it has no address"
        for address in self.addresses[:_MOST_TRIED]:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(str(address), self.port, limit=MAX_HEAD)
            except (OSError, TimeoutError) as error:
                problem = _reason(error)
        raise Unreachable(f"it cannot be reached ({problem})")


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return getattr(error, "strerror", None) or type(error).__name__


class Router:
    """The rules, and what they say about a host and a port."""

    def __init__(
        self, rules: Sequence[Rule], *, is_open: bool, environ: Mapping[str, str], resolver: Resolver
    ) -> None:
        """Raises ValueError for a proxy in `environ` that cannot be used."""
        self.rules = tuple(rules)
        self.is_open = is_open
        self.resolver = resolver
        self._upstreams = {scheme: _upstream(scheme, environ) for scheme in ("http", "https")}
        self._direct = environ.get("no_proxy") or environ.get("NO_PROXY") or ""

    def permits(self, host: str, port: int) -> bool:
        """Whether a rule allows a canonical host by its name."""
        by_rule = any(rule.matches(host, port) for rule in self.rules)
        return by_rule or (self.is_open and port in USUAL_PORTS)

    async def route(self, host: str, port: int, *, tunnel: bool) -> Route:
        """The way to a canonical host. Raises Refused and Unreachable; looks up nothing that it refuses."""
        if not self.permits(host, port):
            raise Refused("not in the list of allowed hosts")
        upstream = self._upstream_for(host, "https" if tunnel else "http")
        literal = address_of(host)
        try:
            if literal is not None:
                addresses: Sequence[Address] = (literal,)
            else:
                async with asyncio.timeout(LOOKUP_SECONDS):
                    addresses = await self.resolver.lookup(host)
        except (OSError, TimeoutError, UnicodeError) as error:
            if upstream is None:
                raise Unreachable(f"its name cannot be looked up ({_reason(error)})") from error
            addresses = ()  # a machine behind a proxy often knows no names of the outside
        named = self._named_here(host, port)
        for address in addresses:
            why = forbidden(address)
            if why and address not in named:
                raise Refused(f"{why} ({address}), which only a rule for this very name or address allows")
        if upstream is not None and not named:
            return Route(host, port, upstream=upstream)
        return Route(host, port, addresses)

    def _named_here(self, host: str, port: int) -> frozenset[Address]:
        """Addresses that the user has allowed by a rule for this very host, whatever kind of address they are.

        What a name server says is no permission: the name must be the address, or be this machine's own for it.
        """
        if not any(not rule.wildcard and rule.matches(host, port) for rule in self.rules):
            return frozenset()
        literal = address_of(host)
        return frozenset((literal,)) if literal is not None else self.resolver.named_here(host)

    def _upstream_for(self, host: str, scheme: str) -> Upstream | None:
        upstream = self._upstreams[scheme]
        return None if upstream is None or _beneath(host, self._direct) else upstream


def _upstream(scheme: str, environ: Mapping[str, str]) -> Upstream | None:
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    url = next((environ[name] for name in names if environ.get(name)), "")
    return Upstream.parse(url) if url else None


def _beneath(host: str, names: str) -> bool:
    """Whether `host` is one of `names`, or beneath one, as NO_PROXY lists them."""
    for name in names.lower().replace(",", " ").split():
        domain = name.removeprefix("*").removeprefix(".")
        if not domain or host == domain or host.endswith(f".{domain}"):
            return True
    return False
