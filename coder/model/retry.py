"""How often and how patiently a failed request is repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum

from coder.errors import ModelError


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first` allows for the prefill of a long prompt and for a queue; `between` for a slow token.

    Inside a tool call `first` holds between pieces too: vLLM 0.20 sends a whole parameter as one piece. After `look`
    of silence the server is asked whether it is at work; one that says so is waited for up to `busy`.
    """

    connect: float = 10.0
    first: float = 600.0
    between: float = 120.0
    look: float = 15.0
    busy: float = 3600.0

    @classmethod
    def allowing(cls, prefill_rate: float | None, context_length: int | None) -> Timeouts:
        """The defaults, with time enough for a server that reads `prefill_rate` tokens a second to read a full
        context, and half as much again."""
        if not prefill_rate or not context_length:
            return cls()
        return cls(first=max(cls().first, 1.5 * context_length / prefill_rate))


@dataclass(frozen=True, slots=True)
class Retries:
    """`busy` repeats for a server that refuses or is overloaded, `broken` for broken answers; `loading` seconds in
    all for a server that loads its model, `restart` for one that was there and is gone. `base` and `cap` bound one
    wait, in seconds."""

    busy: int = 5
    broken: int = 2
    loading: float = 900.0
    restart: float = 300.0
    base: float = 0.5
    cap: float = 30.0


class Kind(Enum):
    """What a failure means for the same request."""

    BUSY = "busy"
    LOADING = "loading"
    DOWN = "down"  # nobody listens
    BROKEN = "broken"
    ADJUSTED = "adjusted"  # the request was changed: send it again at once
    FINAL = "final"


class Failed(Exception):
    """A failed attempt: the error to raise when nobody repeats it, and what it means for a repetition.

    `after` in seconds is the server's own Retry-After, `body` the server's answer as it came, `note` what was
    changed for the next attempt.
    """

    def __init__(
        self,
        error: ModelError,
        kind: Kind = Kind.FINAL,
        *,
        after: float | None = None,
        body: str = "",
        note: str = "",
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.kind = kind
        self.after = after
        self.body = body
        self.note = note


_ADJUSTMENTS = 12


@dataclass(slots=True)
class Patience:
    """The budget of one request: `wait` says how many seconds to wait before the next attempt, None to give up.

    `answered` says that the server has answered before: then it is worth waiting until it is back.
    """

    retries: Retries
    answered: bool = False
    spent: dict[Kind, int] = field(default_factory=dict)
    waited: float = 0.0
    """Seconds waited for a server that loads or restarts."""

    def wait(self, failed: Failed) -> float | None:
        tried = self.spent.get(failed.kind, 0)
        self.spent[failed.kind] = tried + 1
        match failed.kind:
            case Kind.BUSY:
                return self._back_off(tried, failed.after) if tried < self.retries.busy else None
            case Kind.BROKEN:
                return self._back_off(tried, failed.after) if tried < self.retries.broken else None
            case Kind.ADJUSTED:
                return 0.0 if tried < _ADJUSTMENTS else None
            case Kind.DOWN if not self.answered:
                return self._back_off(tried, None) if tried < self.retries.busy else None
            case Kind.DOWN if self.waited < self.retries.restart:
                return self._wait_on(tried, None)
            case Kind.LOADING if self.waited < self.retries.loading:
                return self._wait_on(tried, failed.after)
        return None

    def _wait_on(self, tried: int, after: float | None) -> float:
        seconds = self._back_off(min(tried, 4), after)
        self.waited += seconds
        return seconds

    def _back_off(self, tried: int, after: float | None) -> float:
        """Doubling, with jitter, so that many agents do not come back in one moment."""
        if after is not None:
            return min(after, self.retries.cap)
        full = min(self.retries.base * 2.0**tried, self.retries.cap)
        return full * random.uniform(0.5, 1.0)  # noqa: S311 (jitter is no secret)
