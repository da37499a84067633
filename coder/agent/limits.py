"""Caps on one run. They hold on our side, whatever the model or the server does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from coder.errors import LimitReached
from coder.events import BudgetSpent, Spent

MARKS = (0.5, 0.8, 0.95)
"""Shares of a cap at which the model is told what is left."""


@dataclass(slots=True, kw_only=True)
class Limits:
    """What a run may spend, and what it has spent. A cap of 0 is no cap; `seconds` is wall time."""

    turns: int = 100
    tokens: int = 0
    seconds: float = 3600.0
    spent: Spent = field(default_factory=Spent)
    started: float = field(default_factory=time.monotonic)
    _told: float = 0.0
    _waited: float = 0.0
    """Seconds that do not count: the user was asked something."""
    _scope: asyncio.Timeout | None = None

    def add(self, spent: Spent) -> None:
        self.spent += spent

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started - self._waited

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No wall time is spent inside: it is the user's. Once at a time."""
        began = time.monotonic()
        if self._scope is not None:
            self._scope.reschedule(None)
        try:
            yield
        finally:
            self._waited += time.monotonic() - began
            if self._scope is not None and not self._scope.expired():
                left = max(0.0, self.seconds - self.elapsed)
                self._scope.reschedule(asyncio.get_running_loop().time() + left)

    @property
    def total_tokens(self) -> int:
        return self.spent.prompt_tokens + self.spent.completion_tokens

    def check(self) -> None:
        """Raises LimitReached when nothing more may be asked of the model."""
        if self.turns and self.spent.turns >= self.turns:
            raise LimitReached("turns", f"the cap of {self.turns} turns was reached")
        if self.tokens and self.total_tokens >= self.tokens:
            raise LimitReached("tokens", f"the cap of {self.tokens} tokens was reached")
        if self.seconds and self.elapsed >= self.seconds:
            raise self._out_of_time()

    def completion_cap(self, wanted: int) -> int:
        """How many tokens the next answer may have."""
        return min(wanted, max(1, self.tokens - self.total_tokens)) if self.tokens else wanted

    @contextlib.asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Cancels what runs inside when the wall time is over, and raises LimitReached."""
        if not self.seconds:
            yield
            return
        try:
            async with asyncio.timeout(max(0.0, self.seconds - self.elapsed)) as scope:
                self._scope = scope
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise self._out_of_time() from None
        finally:
            self._scope = None

    def reminder(self) -> str:
        """A line for the model, the first time that a mark is passed; else empty."""
        shares = {
            f"{self.turns - self.spent.turns} of {self.turns} turns": _share(self.spent.turns, self.turns),
            f"{max(0, self.tokens - self.total_tokens)} of {self.tokens} tokens": _share(
                self.total_tokens, self.tokens
            ),
        }
        text, share = max(shares.items(), key=lambda item: item[1])
        passed = max((mark for mark in MARKS if share >= mark), default=0.0)
        if passed <= self._told:
            return ""
        self._told = passed
        return f"[{text} left]"

    def event(
        self,
        *,
        thinking: tuple[int, int] = (0, 0),
        context: tuple[int, int] = (0, 0),
        cache: float | None = None,
    ) -> BudgetSpent:
        return BudgetSpent(
            thinking=thinking,
            context=context,
            cache=None if cache is None else round(cache, 3),
            turns=(self.spent.turns, self.turns),
            tokens=(self.total_tokens, self.tokens),
            seconds=(round(self.elapsed, 1), self.seconds),
        )

    def _out_of_time(self) -> LimitReached:
        return LimitReached("seconds", f"the cap of {self.seconds:g} seconds was reached")


def _share(spent: int, cap: int) -> float:
    return spent / cap if cap else 0.0
