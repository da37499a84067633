"""Who may talk to the page: only someone who has the address, from a page that came from here.

A server on loopback is within reach of every page that the user's browser shows. Three things keep others out: a secret
in the address (other users of this machine, other pages), the Host header (names that an attacker lets point at
loopback), and the Origin of a WebSocket (pages of other origins may open those freely: RFC 6455, section 10.2).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

HEADERS = {
    # style: xterm.js writes its own; data: its cursor and glyphs
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer. Nothing that is shown may load, send or frame anything."""


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one server on `port`; `secret` is the way in."""

    port: int
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.secret}/"

    def knows(self, secret: str) -> bool:
        return hmac.compare_digest(secret.encode("utf-8", "replace"), self.secret.encode())

    def is_ours(self, host: str | None) -> bool:
        """Whether a Host header names this server by a name that nobody else can hold."""
        return host in (f"127.0.0.1:{self.port}", f"localhost:{self.port}")

    def from_our_page(self, origin: str | None, host: str | None) -> bool:
        """Whether a WebSocket is opened by a page of this server."""
        return self.is_ours(host) and origin == f"http://{host}"
