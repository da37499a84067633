"""While an answer does not begin: what the server is busy with, told now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from coder import events
from coder.events import Emit
from coder.model.endpoint import Endpoint
from coder.model.load import look

PATIENCE = 3.0
"""Seconds without a first token after which the server is asked, and between two questions."""


@asynccontextmanager
async def load_told(endpoint: Endpoint, emit: Emit, begun: asyncio.Event) -> AsyncIterator[None]:
    """Inside, the server's load is told until `begun` is set. A server that does not tell it is asked once."""
    asking = asyncio.create_task(_ask(endpoint, emit, begun))
    try:
        yield
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def _ask(endpoint: Endpoint, emit: Emit, begun: asyncio.Event) -> None:
    told = bool(endpoint.backend.traits.load)
    while told:
        try:
            await asyncio.wait_for(begun.wait(), PATIENCE)
            return
        except TimeoutError:
            load = await look(endpoint)
        told = load.running is not None
        if load.running is not None and not begun.is_set():
            await emit(events.ServerLoad(running=load.running, waiting=load.waiting or 0))
