"""Keeps the two ends of a command's output, however much it writes."""

from __future__ import annotations

CHUNK = 64 * 1024


class HeadTail:
    """Collects bytes: the first half of `cap` and the last half; the middle is counted and dropped."""

    __slots__ = ("_head", "_head_cap", "_tail", "_tail_cap", "total")

    def __init__(self, cap: int) -> None:
        self._head_cap = cap // 2
        self._tail_cap = cap - self._head_cap
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def feed(self, data: bytes) -> None:
        self.total += len(data)
        room = self._head_cap - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data[-self._tail_cap :] if self._tail_cap else b""
        if len(self._tail) > 2 * self._tail_cap:  # cut rarely: each cut copies
            del self._tail[: -self._tail_cap]

    def ends(self) -> tuple[bytes, bytes]:
        """Head and tail; the tail is empty while everything fits into the head."""
        return bytes(self._head), bytes(self._tail[-self._tail_cap :] if self._tail_cap else b"")
