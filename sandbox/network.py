"""The only way out of a sandbox: an HTTP(S) proxy on the host that lets through what the user has allowed.

The sandbox keeps its empty network. The proxy comes to it through a gate (`sandbox.gate`), judges every request by its
name and by the addresses behind it, and keeps a record.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence

from sandbox.attempts import Attempt, Attempts
from sandbox.destinations import parse_rule
from sandbox.errors import SandboxUnavailable
from sandbox.gate import Gate, receive
from sandbox.listener import ADDRESS
from sandbox.relay import Limits, serve
from sandbox.routes import Resolver, Router

__all__ = ["ENVIRONMENT", "Attempt", "Network"]

_HOST, _PORT = ADDRESS
_URL = f"http://{_HOST}:{_PORT}"
_JAVA = {
    "http.proxyHost": _HOST,
    "http.proxyPort": _PORT,
    "https.proxyHost": _HOST,
    "https.proxyPort": _PORT,
    "http.nonProxyHosts": "localhost|127.*|[::1]",
}

ENVIRONMENT: Mapping[str, str] = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _URL),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1"),
    "NODE_USE_ENV_PROXY": "1",
    "JAVA_TOOL_OPTIONS": " ".join(f"-D{name}={value}" for name, value in _JAVA.items()),
    "GIT_ALLOW_PROTOCOL": "file:http:https",
}
"""What commands are told of the proxy."""


class Network:
    """An HTTP(S) proxy for sandboxes. `attempts` is what was tried.

    `allow` holds HOST[:PORT] and *.DOMAIN[:PORT]; ports 80 and 443 where none is named. With `open`, these two ports
    of every host are allowed, but none of this machine's own, link-local and metadata addresses: those only by `allow`.
    `on_attempt` is told of each kind of attempt once. A proxy named in `environ` (by default the environment of this
    process) is used. Raises ValueError for a rule that cannot be read.
    """

    def __init__(
        self,
        allow: Sequence[str],
        *,
        open: bool = False,  # noqa: A002 - the word for it
        on_attempt: Callable[[Attempt], None] | None = None,
        environ: Mapping[str, str] | None = None,
        resolver: Resolver | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._rules = tuple(dict.fromkeys(parse_rule(text) for text in allow))
        self._open = open
        self._environ = os.environ if environ is None else environ
        self._resolver = resolver or Resolver()
        self._limits = limits or Limits()
        self._attempts = Attempts(on_attempt)
        self._router: Router | None = None
        self._gates: set[Gate] = set()

    @property
    def attempts(self) -> list[Attempt]:
        """Every kind of attempt so far, oldest first; bounded."""
        return self._attempts.all()

    @property
    def promise(self) -> str:
        """What it lets through, for people."""
        named = ", ".join(map(str, self._rules))
        if self._open:
            return f"every host but this machine{f' (of it only {named})' if named else ''}, through a logged proxy"
        return f"only {named or 'nothing'}, through a logged proxy"

    async def start(self) -> None:
        """Make it ready for gates. Safe to call twice. Raises SandboxUnavailable."""
        if self._router is not None:
            return
        try:
            self._router = Router(
                self._rules, is_open=self._open, environ=self._environ, resolver=self._resolver
            )
        except ValueError as error:
            raise SandboxUnavailable(
                f"this machine's proxy settings: {error}", hint="see HTTP_PROXY and HTTPS_PROXY"
            ) from error

    async def close(self) -> None:
        """End every connection. Safe to call twice."""
        self._router = None
        for gate in list(self._gates):
            await self.dismiss(gate)
        self._resolver.close()

    async def admit(self, out: socket.socket) -> Gate:
        """Serve the sandbox that hands its listening socket through `out`, which is closed then.

        Raises OSError when it hands over anything else, or nothing.
        """
        router = self._router
        if router is None:
            out.close()
            raise OSError("the proxy is not running")
        try:
            listener = await receive(out)
        except OSError as error:
            self._attempts.add("", 0, allowed=False, why=str(error))
            raise
        if self._router is None:
            listener.close()
            raise OSError("the proxy was closed")
        gate = Gate(listener, lambda connection: serve(connection, router, self._limits, self._attempts))
        self._gates.add(gate)
        return gate

    async def dismiss(self, gate: Gate) -> None:
        """Close a gate."""
        self._gates.discard(gate)
        await gate.close()
