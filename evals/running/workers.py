"""How many attempts run at once: a number, or as many as the server gains from."""

from __future__ import annotations

import asyncio
import os
import time

START = 2
"""With `auto`."""
WINDOW = 30.0
"""Seconds over which a level's throughput is measured."""
GAIN = 1.08
"""The next level must be that much faster than this one, or it is the last."""
MEMORY_MB = 400
"""What an attempt and its sandbox may want."""


def bound() -> int:
    """How many attempts fit into the memory that is free now."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return max(1, (free - 1024) // MEMORY_MB)


class Workers:
    """Slots for attempts. With `automatic` their number is doubled as long as more tokens a second come of it."""

    def __init__(self, count: int, *, automatic: bool = False, most: int = 256) -> None:
        self.count = START if automatic else count
        self._automatic = automatic
        self._most = min(most, bound()) if automatic else count
        self._free = asyncio.Semaphore(self.count)
        self._tokens = 0
        self._since = time.monotonic()
        self._before = 0.0

    async def __aenter__(self) -> None:
        await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._free.release()

    def note(self, tokens: int) -> None:
        """So many tokens were written just now. Opens more slots when a window is over and the last step paid."""
        self._tokens += tokens
        seconds = time.monotonic() - self._since
        if not self._automatic or seconds < WINDOW:
            return
        rate = self._tokens / seconds
        if rate > self._before * GAIN and self.count < self._most:
            more = min(self.count, self._most - self.count)
            self.count += more
            for _ in range(more):
                self._free.release()
            self._before, self._tokens, self._since = rate, 0, time.monotonic()
        else:
            self._automatic = False
