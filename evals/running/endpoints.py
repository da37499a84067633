"""Servers of the same model, the one with the least of our requests next."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Endpoints:
    """Without `urls` the configured server is used, or found."""

    urls: Sequence[str] = ()
    _busy: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[str]:
        """The address for one attempt; empty without `urls`."""
        if not self.urls:
            yield ""
            return
        url = min(self.urls, key=lambda each: self._busy[each])
        self._busy[url] += 1
        try:
            yield url
        finally:
            self._busy[url] -= 1
