"""The window's end of the work: a port that is made in the background, and orders that wait for it in line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from coder.errors import CoderError
from coder.events import Event, Sink
from coder.workflows.port import Port
from sandbox.errors import SandboxError

CLOSING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that can be worked with. `past` is what happened in it before, `folder` where it is kept."""

    port: Port
    folder: Path
    past: Sequence[Event] = ()


Connect = Callable[[str], Awaitable[Opened]]
"""Opens the session of that id, or a new one for an empty id. May take seconds; raises CoderError."""

Order = Callable[[Port], Awaitable[str | None]]
"""Something to do with the port; what it returns is told to the user."""


class Link:
    """Orders given before the port is there are carried out when it is, in the order of their giving."""

    def __init__(
        self,
        connect: Connect,
        *,
        sink: Sink,
        opened: Callable[[Opened], None],
        tell: Callable[[str], None],
        failed: Callable[[str], None],
    ) -> None:
        """`sink` gets the events, `opened` each session, `tell` sentences, `failed` why no session could be opened."""
        self._connect = connect
        self._sink, self._opened, self._tell, self._failed = sink, opened, tell, failed
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._extra: set[asyncio.Task[None]] = set()
        self.port: Port | None = None
        self.folder: Path | None = None

    @property
    def busy(self) -> bool:
        """Whether a task runs, or will as soon as there is a port."""
        return self.port.busy if self.port is not None else not self._orders.empty()

    def open(self, session: str = "") -> None:
        """Leave the present session and open another; what was ordered and not begun is forgotten with it."""
        before, self._worker = self._worker, asyncio.get_running_loop().create_task(self._open(session))
        if before is not None:
            before.cancel()

    def order(self, order: Order) -> None:
        self._orders.put_nowait(order)

    def at_once(self, order: Order) -> None:
        """Carry an order out beside the line: an interruption must not wait for what it interrupts."""
        if self.port is not None:
            task = asyncio.get_running_loop().create_task(self._carry_out(order, self.port))
            self._extra.add(task)
            task.add_done_callback(self._extra.discard)

    async def close(self) -> None:
        """End the work in good order, within CLOSING_SECONDS."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait({self._worker}, timeout=1)
        await self._leave()

    async def _open(self, session: str) -> None:
        await self._leave()
        try:
            opened = await self._connect(session)
        except (CoderError, SandboxError) as error:
            self._failed(f"{error}. {error.hint}".rstrip(". ") + ".")
            return
        self.port, self.folder = opened.port, opened.folder
        self._opened(opened)
        opened.port.listen(self._sink)
        while True:
            await self._carry_out(await self._orders.get(), opened.port)

    async def _leave(self) -> None:
        port, self.port = self.port, None
        if port is not None:
            with suppress(TimeoutError, CoderError, SandboxError, OSError):
                async with asyncio.timeout(CLOSING_SECONDS):
                    await port.close()

    async def _carry_out(self, order: Order, port: Port) -> None:
        try:
            sentence = await order(port)
        except (CoderError, SandboxError) as error:
            sentence = f"{error}. {error.hint}".rstrip(". ") + "."
        except Exception as error:  # noqa: BLE001 - the worker boundary: what was typed must outlive a broken order
            sentence = f"that failed: {type(error).__name__}: {error}"
        if sentence:
            self._tell(sentence)
