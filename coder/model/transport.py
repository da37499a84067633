"""The openai client library, imported late, and its failures in our own terms."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from coder.errors import ModelUnavailable, StreamBroken
from coder.model import failures, wire
from coder.model.endpoint import Endpoint
from coder.model.retry import Failed, Kind, Timeouts

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream

_BODY_CAP = 16_000_000


class Transport:
    """One pool of connections to one server."""

    def __init__(self, endpoint: Endpoint, timeouts: Timeouts) -> None:
        self._endpoint = endpoint
        self._timeouts = timeouts
        self._client: AsyncOpenAI | None = None

    @asynccontextmanager
    async def chunks(self, body: dict[str, Any]) -> AsyncIterator[AsyncIterator[object]]:
        """POST the request; the block iterates over the decoded chunks of the answer, which are trusted in nothing.

        Leaving the block closes the connection, and that stops the server's work.

        Raises:
            Failed: for everything that the server or the network does wrong, inside the block too.
        """
        client = await self.connected()
        import openai

        with self._unreachable():
            stream = await client.post(
                "/chat/completions",
                body=body,
                cast_to=object,
                stream=True,
                stream_cls=openai.AsyncStream[object],
            )
        async with stream:
            with _broken():
                async with aclosing(_chunks(stream)) as chunks:
                    yield chunks

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def connected(self) -> AsyncOpenAI:
        """The client; the first call imports the library, in a thread so that the faces stay alive."""
        if self._client is None:
            await asyncio.to_thread(importlib.import_module, "openai")
        if self._client is None:  # another request may have made it meanwhile
            self._client = self._new_client()
        return self._client

    def _new_client(self) -> AsyncOpenAI:
        import openai

        url = urlsplit(self._endpoint.base_url)
        http_client = openai.DefaultAsyncHttpxClient(
            # a proxy of the environment could not reach this machine's own ports
            trust_env=not wire.is_loopback(url.hostname or ""),
            # without TLS there is nothing to verify, and reading the certificates takes 0.1 s
            verify=url.scheme == "https",
            follow_redirects=False,
        )
        return openai.AsyncOpenAI(
            base_url=self._endpoint.base_url,
            api_key=self._endpoint.api_key or "none",
            max_retries=0,
            timeout=openai.Timeout(None, connect=self._timeouts.connect),
            http_client=http_client,
        )

    @contextmanager
    def _unreachable(self) -> Iterator[None]:
        """Failures before the answer begins."""
        import openai

        try:
            yield
        except openai.APIStatusError as problem:
            response = problem.response
            raise failures.from_status(response.status_code, response.text, response.headers) from problem
        except openai.APIConnectionError as problem:
            cause = failures.clean(str(problem.__cause__ or problem)) or type(problem.__cause__).__name__
            cause = cause.replace("All connection attempts failed", "connection refused")
            error = ModelUnavailable(
                f"no model server answers at {self._endpoint.base_url}: {cause}",
                hint="is the server running? coder doctor tells more",
            )
            raise Failed(error, Kind.FINAL if "CERTIFICATE" in cause else Kind.DOWN) from problem


@contextmanager
def _broken() -> Iterator[None]:
    """Failures in the middle of an answer."""
    import openai

    # openai 2 stands on httpx and lets its errors through, openai 3 stands on httpx2
    transport_errors = tuple(
        sys.modules[name].HTTPError for name in ("httpx", "httpx2") if name in sys.modules
    )
    try:
        yield
    except (openai.APIConnectionError, *transport_errors) as problem:
        error = StreamBroken("the connection to the model server broke in the middle of an answer")
        raise Failed(error, Kind.BROKEN) from problem
    except openai.APIError as problem:
        raise failures.from_stream_error(problem.message, problem.body) from problem
    except UnicodeDecodeError as problem:
        raise garbage("bytes that are no text") from problem
    except json.JSONDecodeError as problem:
        raise garbage(problem.doc) from problem
    except RecursionError as problem:
        raise garbage("JSON nested beyond all measure") from problem


def garbage(words: str) -> Failed:
    """The failure for an answer that is not what the protocol says; shows the beginning of it."""
    shown = failures.clean(words)[:200]
    error = StreamBroken(
        f"the model server answered with something that is no chat completion: {shown!r}",
        hint="check that --base-url names a model server and ends in /v1",
    )
    return Failed(error, Kind.BROKEN)


async def _chunks(stream: AsyncStream[object]) -> AsyncGenerator[object, None]:
    """The chunks of a stream, or the one answer of a server that does not stream."""
    content_type = stream.response.headers.get("content-type", "").lower()
    if "json" in content_type or "html" in content_type:
        body = await _read(stream)
        yield _whole(body)
        return
    async for chunk in stream:
        yield chunk


async def _read(stream: AsyncStream[object]) -> bytes:
    received = bytearray()
    async for piece in stream.response.aiter_bytes():
        received += piece
        if len(received) > _BODY_CAP:
            break
    return bytes(received)


def _whole(body: bytes) -> object:
    text = body.decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise garbage(failures.server_words(text)) from problem
    if isinstance(data, dict) and data.get("error"):
        raise failures.from_stream_error("", data)
    if not isinstance(data, dict) or "choices" not in data:
        raise garbage(text)
    return data
