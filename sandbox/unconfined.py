"""No sandbox at all, for those who are one already: commands run on this machine, as this user, in the copy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from sandbox import guarantees
from sandbox.base import WORKDIR, Guarantee, Policy, Result
from sandbox.command import Command, prepare
from sandbox.errors import SandboxError
from sandbox.output import CHUNK, HeadTail
from sandbox.spawn import memory_file, reading_end
from sandbox.toolchain import Toolchain
from sandbox.walking import remove_tree
from sandbox.watch import FULL, Call, DiskWatch, Stop, last_words, watch
from sandbox.workspace import Workspace

__all__ = ["Unconfined"]

_MARK = "CODER_COMMAND"
"""A variable by whose value the processes of one command are found."""
_INSIDE = re.compile(rf"(?<![\w./-]){WORKDIR}(?![\w.-])")
_KILL_ROUNDS = 20


class Unconfined:
    """Promises nothing but the time limit on what does not hide. The user's own tree is still only read."""

    name = "none"
    runs = True

    def __init__(self, workspace: Workspace, policy: Policy, *, toolchain: Toolchain | None = None) -> None:
        self.workspace = workspace
        self._policy = policy
        self._path = os.pathsep.join(
            (*(toolchain.path if toolchain else ()), os.environ.get("PATH", os.defpath))
        )
        self._lock = asyncio.Lock()
        self._disk = DiskWatch(workspace.root, policy.workspace_mb, policy.workspace_files)
        self._scratch: Path | None = None

    async def start(self) -> None:
        """See Sandbox.start."""
        self._scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=self.workspace.root.parent))
        await self._disk.start()

    async def run(
        self,
        script: str,
        *,
        timeout: float,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        cap: int | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Result:
        """See Sandbox.run. Paths beneath /workspace are rewritten to where the copy is, and back in the output."""
        async with self._lock:
            scratch = self._started()
            full = await self._disk.full()
            command = prepare(
                self._outside(script),
                cwd=cwd,
                env={"PATH": self._path, "HOME": str(scratch), "TMPDIR": str(scratch), **(env or {})},
                stdin=stdin,
                file_mb=0 if full else self._policy.file_mb,
                processes=None,
            )
            sink = HeadTail(self._policy.output_bytes if cap is None else cap)
            call = Call(
                replace(command, argv=tuple(map(self._outside, command.argv))), sink, timeout, on_output
            )
            if full:
                call.say(FULL)
            return await self._result(call, full=full)

    async def reset(self) -> None:
        """See Sandbox.reset."""
        async with self._lock:
            scratch = self._started()
            await asyncio.to_thread(remove_tree, scratch)
            scratch.mkdir()

    async def close(self) -> None:
        """See Sandbox.close."""
        async with self._lock:
            scratch, self._scratch = self._scratch, None
            if scratch is not None:
                await asyncio.to_thread(remove_tree, scratch)

    def guarantees(self) -> list[Guarantee]:
        """See Sandbox.guarantees."""
        return guarantees.for_nothing()

    def _started(self) -> Path:
        if self._scratch is None:
            raise SandboxError("the sandbox is not running", hint="start it first")
        return self._scratch

    def _outside(self, text: str) -> str:
        return _INSIDE.sub(lambda _: str(self.workspace.root), text)

    async def _result(self, call: Call, *, full: bool) -> Result:
        began = time.monotonic()
        stop, status = await self._execute(call, full=full)
        head, tail = call.sink.ends()
        return Result(
            exit=128 - status if status < 0 else status,
            head=head,
            tail=tail,
            total_bytes=call.sink.total,
            seconds=time.monotonic() - began,
            timed_out=stop == "timeout",
            killed="" if stop == "timeout" else stop,
        )

    async def _execute(self, call: Call, *, full: bool) -> tuple[Stop, int]:
        """Run one command to its end. When this is cancelled, the command dies first."""

        async def too_much() -> bool:
            return not full and await self._disk.full(running=True)

        mark = secrets.token_hex(16)
        root, shown = os.fsencode(self.workspace.root), WORKDIR.encode()
        with contextlib.ExitStack() as held:
            process, output = await _start(call.command, {**call.command.env, _MARK: mark}, held)

            async def read() -> bytes:
                return (await output.read(CHUNK)).replace(root, shown)

            drained = asyncio.create_task(call.drain(read, self._policy.flood_mb << 20))
            ended = asyncio.create_task(process.wait())
            try:
                try:
                    stop = await watch(ended, drained, timeout=call.timeout, too_much=too_much)
                finally:
                    _kill(process, mark)
                    status = await asyncio.shield(ended)
                if stop != "output":
                    await last_words(drained)
            finally:
                drained.cancel()
            return stop, status


async def _start(
    command: Command, env: Mapping[str, str], held: contextlib.ExitStack
) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader]:
    """The command and its output: a pipe of our own, since asyncio's ends only when every holder of it has ended."""
    with contextlib.ExitStack() as given:
        read_end, write_end = os.pipe()
        given.callback(os.close, write_end)
        output = await reading_end(held, read_end)
        stdin: int = asyncio.subprocess.DEVNULL
        if command.stdin:
            stdin = memory_file("stdin", command.stdin)
            given.callback(os.close, stdin)
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            stdin=stdin,
            stdout=write_end,
            stderr=write_end,
            start_new_session=True,
            env=dict(env),
            cwd="/",
        )
        return process, output


def _kill(process: asyncio.subprocess.Process, mark: str) -> None:
    """Kill the command's group, and whatever else still has its mark in its environment."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for _ in range(_KILL_ROUNDS):
        if not (left := list(_marked(f"{_MARK}={mark}".encode()))):
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _marked(mark: bytes) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in entry.read_bytes():
                found.append(int(entry.parent.name))
    return found
