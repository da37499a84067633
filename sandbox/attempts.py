"""What was tried through the proxy, for people: folded, and bounded however much a command tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

MAX_DIFFERENT = 200


@dataclass(frozen=True, slots=True)
class Attempt:
    """A destination that commands asked for, `count` times with the same outcome.

    `host` is canonical, so safe to show; empty when the request named none. `why` says why it was refused or failed.
    `bytes` passed in both directions together.
    """

    host: str
    port: int
    allowed: bool
    why: str = ""
    bytes: int = 0
    count: int = 1


class Attempts:
    """A record of attempts. `on_attempt` is told of each kind once, when it is first seen."""

    def __init__(self, on_attempt: Callable[[Attempt], None] | None) -> None:
        self._on_attempt = on_attempt
        self._seen: dict[tuple[str, int, bool, str], Attempt] = {}

    def add(self, host: str, port: int, *, allowed: bool, why: str = "") -> None:
        """Somebody asked for `host`."""
        key = (host, port, allowed, why)
        if key not in self._seen and len(self._seen) >= MAX_DIFFERENT:
            key = ("", 0, False, f"more than {MAX_DIFFERENT} different attempts: further ones are not listed")
        old = self._seen.get(key)
        self._seen[key] = Attempt(*key) if old is None else replace(old, count=old.count + 1)
        if old is None and self._on_attempt is not None:
            self._on_attempt(self._seen[key])

    def passed(self, host: str, port: int, count: int) -> None:
        """`count` bytes went to `host` and back."""
        old = self._seen.get((host, port, True, ""))
        if old is not None:
            self._seen[host, port, True, ""] = replace(old, bytes=old.bytes + count)

    def all(self) -> list[Attempt]:
        """Oldest first."""
        return list(self._seen.values())
