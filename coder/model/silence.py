"""A server that is silent: how long it may be, and asking it meanwhile whether it still works on something.

The prefill of a long prompt can take minutes. A server that says so is waited for, and the request is never sent
again; one that says that it has nothing to do, or that is gone, has lost the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from coder.errors import ModelUnavailable, StreamBroken
from coder.model.endpoint import Endpoint
from coder.model.load import Load, look
from coder.model.retry import Failed, Kind, Timeouts

_SURE = 2
"""Looks in a row that must agree before a request is called lost: figures may lag behind."""
_TELL_EVERY = 60.0


@dataclass(slots=True)
class Silence:
    """Watches one answer. Call `heard` for each piece with the seconds that the next one may take."""

    endpoint: Endpoint
    timeouts: Timeouts
    tell: Callable[[str], Awaitable[None]]
    lost: str = ""
    _clock: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    _since: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    _patience: float = 0.0

    def clock(self) -> asyncio.Timeout:
        """The scope that ends when the silence has lasted too long."""
        self._clock = asyncio.timeout(self.timeouts.first)
        self._patience = self.timeouts.first
        return self._clock

    def pause(self) -> None:
        """Time stands still: a slow listener is not a slow server."""
        self._clock.reschedule(None)

    def heard(self, patience: float) -> None:
        self._since, self._patience = self._now(), patience
        self._clock.reschedule(self._since + patience)

    async def watch(self) -> None:
        """Look at the server while it is silent, until cancelled."""
        strikes, told = 0, 0.0
        while True:
            await asyncio.sleep(self.timeouts.look)
            silent = self._now() - self._since
            if silent < self.timeouts.look or self._clock.when() is None:
                strikes = 0
                continue
            load = await look(self.endpoint)
            strikes = strikes + 1 if load.idle or not load.alive else 0
            if strikes >= _SURE:
                self._give_up(load)
            elif load.busy and silent < self.timeouts.busy:
                self._clock.reschedule(self._now() + self._patience)
                if silent - told >= _TELL_EVERY or not told:
                    told = silent
                    await self.tell(
                        f"no token for {silent:.0f} s, but the server is at work ({load}): waiting"
                    )

    def failure(self, *, began: bool) -> Failed:
        """What to raise when the clock has expired; `began` says that pieces had come."""
        where = "fell silent in the middle of an answer" if began else "sent nothing"
        what = self.lost or f"{where} for {self._patience:.0f} s"
        kind = StreamBroken if began else ModelUnavailable
        return Failed(kind(f"the model server {what}", hint="is it overloaded? look at its log"), Kind.BROKEN)

    def _give_up(self, load: Load) -> None:
        self.lost = "has nothing to do, but never answered" if load.alive else "is gone"
        self._clock.reschedule(self._now())

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
