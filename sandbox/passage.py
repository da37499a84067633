"""Connects the commands of a sandbox with the proxy, each in a network of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from sandbox.command import Command
from sandbox.errors import SandboxUnavailable
from sandbox.gate import Gate, program
from sandbox.network import Network
from sandbox.toolchain import Toolchain

_SYSTEM_PYTHON = "/usr/bin/python3"


@contextlib.asynccontextmanager
async def passage(
    network: Network | None, toolchain: Toolchain | None, command: Command
) -> AsyncIterator[tuple[Command, Sequence[int]]]:
    """`command` as it must be started so that it reaches `network`, and the descriptors that it must inherit.

    For one run of it. At the end of the block its connections are cut. Raises SandboxUnavailable without a Python, and
    at the end when the way was not opened.
    """
    if network is None:
        yield command, ()
        return
    ours, theirs = socket.socketpair()
    with theirs:
        argv = program(_python(toolchain), str(theirs.fileno()), command.argv)
        admitting = asyncio.create_task(network.admit(ours))
        try:
            yield replace(command, argv=argv), (theirs.fileno(),)
        finally:
            admitting.cancel()
            (gate,) = await asyncio.gather(admitting, return_exceptions=True)
            if isinstance(gate, Gate):
                await network.dismiss(gate)
    if isinstance(gate, OSError):
        raise SandboxUnavailable(
            f"no way from the sandbox to the proxy: {gate}", hint="try again, or allow no host"
        )


def _python(toolchain: Toolchain | None) -> str:
    if os.path.exists(_SYSTEM_PYTHON):
        return _SYSTEM_PYTHON
    if toolchain is not None:
        return toolchain.python
    raise SandboxUnavailable(
        "a sandbox with an allowed host needs a Python inside", hint="install python3, or allow no host"
    )
