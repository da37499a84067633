"""Small HTTP GETs, for recognising a server long before the heavy client library is needed."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import urllib.request
    from concurrent.futures import ThreadPoolExecutor

SIDE_BY_SIDE = 16
_BODY_CAP = 4_000_000
_SLOW = "no answer within"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a GET brought. `status` 0 means that nobody answered, and `problem` says why.

    Header names are in lower case.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def refused(self) -> bool:
        """Nobody listens there. A server that is merely slow to answer does not count."""
        return self.status == 0 and not self.problem.startswith(_SLOW)

    def json(self) -> object:
        """The decoded body; None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


async def get(url: str, *, api_key: str = "", timeout: float = 5.0) -> Answer:
    """GET `url` in a thread. Never raises for what the network or the server does; follows no redirect.

    `timeout` in seconds bounds the whole exchange for the caller.
    """
    try:
        async with asyncio.timeout(timeout):
            return await _in_thread(_ask, url, api_key, timeout)
    except TimeoutError:
        return Answer(0, problem=f"{_SLOW} {timeout:g} s")


async def post(url: str, payload: object, *, api_key: str = "", timeout: float = 5.0) -> Answer:
    """POST `payload` as JSON; otherwise like `get`."""
    try:
        async with asyncio.timeout(timeout):
            body = json.dumps(payload, ensure_ascii=False).encode()
            return await _in_thread(_ask, url, api_key, timeout, body)
    except TimeoutError:
        return Answer(0, problem=f"{_SLOW} {timeout:g} s")


async def _in_thread(work: Callable[..., Answer], *given: object) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(_threads(), work, *given)


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads of our own: asyncio's are as few as the processors, and all usual ports are asked side by side."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="wire")


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its literal address or the name localhost."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ask(url: str, api_key: str, timeout: float, body: bytes | None = None) -> Answer:
    import urllib.error
    import urllib.request

    headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body else {})
    request = urllib.request.Request(url, body, headers)  # noqa: S310 (http(s) only: see endpoint.normalise)
    if api_key:
        request.add_unredirected_header("Authorization", f"Bearer {api_key}")
    try:
        with _opener(url).open(request, timeout=timeout) as response:
            return _answer(response.status, response, dict(response.headers), timeout)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error, dict(error.headers), timeout)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        if isinstance(reason, TimeoutError):
            return Answer(0, problem=f"{_SLOW} {timeout:g} s")
        return Answer(0, problem=str(reason) or type(problem).__name__)


def _answer(status: int, body: IO[bytes], headers: Mapping[str, str], timeout: float) -> Answer:
    """Read the body in pieces: a server that drips must not hold the thread."""
    deadline = time.monotonic() + timeout
    received = bytearray()
    while len(received) < _BODY_CAP and time.monotonic() < deadline and (piece := body.read(8192)):
        received += piece
    return Answer(status, bytes(received), {name.lower(): value for name, value in headers.items()})


def _opener(url: str) -> urllib.request.OpenerDirector:
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object, **__: object) -> None:
            return None

    direct = is_loopback(urlsplit(url).hostname or "")
    handlers: list[urllib.request.BaseHandler] = [NoRedirect()]
    if direct:  # a proxy of the environment could not reach this machine's own ports
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)
