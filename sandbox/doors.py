"""Connects a container with the proxy: once, before its first command.

A directory of the host is mounted in the container; a program inside connects to the socket in it and passes its
listening socket through. Then both are removed: what a command finds there later is an empty directory of nobody's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sandbox import container
from sandbox.container import Container, Order
from sandbox.engine import Engine
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.gate import HANDOVER_SECONDS, Gate, program
from sandbox.network import Network
from sandbox.walking import remove_tree

_NAME = "door"
_HELPER = "coder-sandbox:base"
"""The image that stands in where a container's own has no Python."""


class Door:
    """The directory and the listening socket in it, for one container. To be closed, whatever happens."""

    def __init__(self, parent: Path, uid: int, gid: int) -> None:
        """For a container whose commands run as `uid`. Nobody else may come in. Raises OSError."""
        self.directory = Path(tempfile.mkdtemp(prefix="door-", dir=parent))
        self._socket = socket.socket(socket.AF_UNIX)
        handle = os.open(self.directory, os.O_PATH | os.O_DIRECTORY)
        try:
            self._socket.bind(f"/proc/self/fd/{handle}/{_NAME}")  # a socket's path may have 107 bytes
            if os.getuid() == 0:
                os.chown(self.directory / _NAME, uid, gid)
                os.chown(self.directory, uid, gid)
            self._socket.listen(1)
            self._socket.setblocking(False)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(handle)

    async def pass_through(
        self, network: Network, run: Callable[[Sequence[str]], Awaitable[int | None]]
    ) -> Gate:
        """Let `run`, which runs a command line in the container's network, open the gate.

        Raises OSError when it does not.
        """
        admitting = asyncio.create_task(self._admit(network))
        try:
            status = await run(program("python3", f"{container.DOOR}/{_NAME}"))
            if status != 0 and not admitting.done():
                raise OSError(f"the program that opens the way to the proxy ended with status {status}")
            return await admitting
        finally:
            admitting.cancel()

    async def _admit(self, network: Network) -> Gate:
        try:
            async with asyncio.timeout(HANDOVER_SECONDS):
                out, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        except TimeoutError as error:
            raise OSError("nobody came through the door to the proxy") from error
        return await network.admit(out)

    def close(self) -> None:
        """Nobody can come in any more. Safe to call twice."""
        self._socket.close()
        remove_tree(self.directory)


async def create_with_gate(
    engine: Engine, order: Order, network: Network, uid: int
) -> tuple[Container, Gate]:
    """A new container and its gate to `network`. Raises SandboxError; nothing is left then.

    The door stands beside the workspace for that while, and is `uid`'s, whose workspace it is.
    """
    parent = order.root.parent
    try:
        opened = Door(parent, uid, order.root.stat().st_gid)
    except OSError as error:
        raise SandboxError(f"no way to the proxy can be made in {parent}: {error}") from error
    with contextlib.closing(opened) as door:
        order = replace(order, door=door.directory)
        made = await container.create(engine, order)
        try:
            return made, await _open_gate(door, engine, order, network, made.id)
        except BaseException:
            await asyncio.shield(container.remove(engine, made.id))
            raise


async def _open_gate(door: Door, engine: Engine, order: Order, network: Network, made: str) -> Gate:
    """By the container's own Python; where its image has none, by that of our own image in the same network."""

    async def inside(argv: Sequence[str]) -> int | None:
        return await container.run_inside(engine, made, order.users.command, argv)

    async def beside(argv: Sequence[str]) -> int | None:
        return await container.run_beside(engine, order, made, _HELPER, argv)

    try:
        return await door.pass_through(network, inside)
    except OSError as error:
        first = error
    try:
        return await door.pass_through(network, beside)
    except (OSError, SandboxError) as second:
        raise SandboxUnavailable(
            f"no way from the container to the proxy: inside it: {first}; beside it: {second}",
            hint=f"use an image with python3, build {_HELPER} with sandbox/images/build.sh, or allow no host",
        ) from second
