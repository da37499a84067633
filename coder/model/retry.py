"""How often and how patiently a failed request is repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum

from coder.errors import ModelError


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first` allows for the prefill of a long prompt and for a queue; `between` for a slow token.

    Inside a tool call `first` holds between pieces too: vLLM 0.20 sends a whole parameter as one piece.
    """

    connect: float = 10.0
    first: float = 600.0
    between: float = 120.0


@dataclass(frozen=True, slots=True)
class Retries:
    """`busy` repeats for a server that refuses or is overloaded, `broken` for broken answers; `loading` seconds in
    all for a server that loads its model. `base` and `cap` bound one wait, in seconds."""

    busy: int = 5
    broken: int = 2
    loading: float = 900.0
    base: float = 0.5
    cap: float = 30.0


class Kind(Enum):
    """What a failure means for the same request."""

    BUSY = "busy"
    LOADING = "loading"
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
    """The budget of one request: `wait` says how many seconds to wait before the next attempt, None to give up."""

    retries: Retries
    spent: dict[Kind, int] = field(default_factory=dict)
    waited_loading: float = 0.0

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
            case Kind.LOADING if self.waited_loading < self.retries.loading:
                seconds = self._back_off(min(tried, 4), failed.after)
                self.waited_loading += seconds
                return seconds
        return None

    def _back_off(self, tried: int, after: float | None) -> float:
        """Doubling, with jitter, so that many agents do not come back in one moment."""
        if after is not None:
            return min(after, self.retries.cap)
        full = min(self.retries.base * 2.0**tried, self.retries.cap)
        return full * random.uniform(0.5, 1.0)  # noqa: S311 (jitter is no secret)
