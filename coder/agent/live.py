"""A running tool's output on its way to the faces: lossy, coalesced, harmless to a terminal."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
from collections.abc import AsyncIterator

from coder import events
from coder.events import Emit
from tools.text import clean

TICK = 0.05
"""Seconds between two events of one tool."""
_KEPT = 16_384
"""Bytes of one tick that are shown; what came before them is dropped."""
TAIL = 2_000
"""Characters that are kept for the result of a command that is interrupted."""


class LiveOutput:
    """Takes bytes with `feed`; emits ToolOutput while inside `shown`."""

    def __init__(self, emit: Emit, call: str) -> None:
        self._emit = emit
        self._call = call
        self._fresh = bytearray()
        self._tail = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._came = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self._fresh += data
        del self._fresh[:-_KEPT]
        self._came.set()

    @property
    def tail(self) -> str:
        """The end of what was printed so far."""
        return clean(self._tail + self._fresh.decode("utf-8", "replace"))[-TAIL:]

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        pumping = asyncio.create_task(self._pump())
        try:
            yield
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)

    async def _pump(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            text = self._decoder.decode(bytes(self._fresh))
            self._fresh.clear()
            self._tail = (self._tail + text)[-2 * TAIL :]
            await self._emit(events.ToolOutput(call=self._call, text=clean(text)))
            await asyncio.sleep(TICK)
