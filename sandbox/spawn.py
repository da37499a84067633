"""Starts one bubblewrap through the launcher, ends it, and tells how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.command import Command
from sandbox.output import CHUNK

_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
_SETTLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything about a sandbox that is the same for all its commands."""

    uid: int
    gid: int
    data_mb: int
    """Limit on the private memory of each process; 0 for none."""
    cgroup: tuple[Path, ...]
    bwrap: str = ""
    options: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()
    """Files named in `options`, read from their start."""
    binds: tuple[str, ...] = ()
    """What the launcher shows beneath `stage`."""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended: its exit status, or None and a message when it never began."""

    exit: int | None
    message: str


def memory_file(name: str, data: bytes) -> int:
    """A descriptor of an unwritable file in memory, positioned at its start. Anybody may read it."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return fd


def _owned_descriptor(held: contextlib.ExitStack, fd: int) -> int:
    held.callback(os.close, fd)
    return fd


def _option_file(plan: Plan, env: Mapping[str, str], status: int) -> bytes:
    words = [*plan.options, "--json-status-fd", str(status)]
    for name, value in env.items():
        words += ["--setenv", name, value]
    return b"".join(os.fsencode(word) + b"\0" for word in words)


def _launcher(plan: Plan, status: int) -> list[str]:
    settings = {
        "parent": os.getpid(),
        "status": status,
        "uid": plan.uid,
        "gid": plan.gid,
        "data": plan.data_mb << 20,
        "stage": plan.stage,
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    words += [f"bind={path}" for path in plan.binds]
    words += [f"cgroup={path}" for path in plan.cgroup]
    return [sys.executable, "-I", "-S", _LAUNCHER, *words, "--"]


class Child:
    """A started command. `settle` must be awaited and then `close` called, whatever happens."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        output: asyncio.StreamReader,
        status: int,
        held: contextlib.ExitStack,
    ) -> None:
        self._process = process
        self._status = status
        self._held = held
        self.output = output

    async def ended(self) -> None:
        """Wait until the command itself has ended."""
        await self._process.wait()

    def kill(self) -> None:
        """Begin the end of every process in it; the kernel does the rest."""
        if self._process.returncode is None:
            # the group: bwrap and its child, which in its first moments does not yet die with bwrap
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def settle(self) -> Ending:
        """Wait until every process is gone, not longer than 2 s past the command's end."""
        code = await self._process.wait()
        pid, exit_code, message = _parse(_read(self._status))
        if pid is not None:
            await _end_namespace(pid)
        return Ending(exit_code if code >= 0 else 128 - code, message)

    def close(self) -> None:
        """Free what is held; output not read by now is lost."""
        self._held.close()


def _read(fd: int) -> bytes:
    os.set_blocking(fd, False)
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return b""


def _parse(report: bytes) -> tuple[int | None, int | None, str]:
    """Process id of the namespace's first process, exit status, and what the launcher said."""
    pid = exit_code = None
    message = ""
    for line in report.decode("utf-8", "replace").splitlines():
        if not line.startswith("{"):
            message = line
            continue
        entry = json.loads(line)
        pid = entry.get("child-pid", pid)
        exit_code = entry.get("exit-code", exit_code)
    return pid, exit_code, message


async def _end_namespace(pid: int) -> None:
    """Wait until the first process of a process namespace, which ends last, is gone.

    It dies with bwrap of its own accord; it is killed nevertheless, since a command may write its memory.
    """
    try:
        fd = os.pidfd_open(pid)
    except OSError:  # gone already, or a kernel before 5.3
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        if _is_first(pid):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                await ended.wait()
    except ProcessLookupError:
        return
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def _is_first(pid: int) -> bool:
    """Whether `pid` is still that process, and no later one: it is number 1 in a namespace of its own."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


async def reading_end(held: contextlib.ExitStack, fd: int) -> asyncio.StreamReader:
    """A reader of the pipe `fd`, which belongs to `held` from now on."""
    reader = asyncio.StreamReader(limit=CHUNK)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), io.FileIO(fd)
    )
    held.callback(transport.close)
    return reader


async def start(plan: Plan, command: Command, given_too: Sequence[int] = ()) -> Child:
    """Start `command`; its stdout and stderr are one pipe. Raises OSError when not even the launcher starts.

    The command inherits the descriptors `given_too` under their numbers.
    """
    with contextlib.ExitStack() as held, contextlib.ExitStack() as given:
        read_output, write_output = os.pipe()
        _owned_descriptor(given, write_output)
        output = await reading_end(held, read_output)
        read_status, write_status = os.pipe()
        _owned_descriptor(held, read_status)
        _owned_descriptor(given, write_status)
        if os.getuid() == 0:
            os.fchown(write_output, plan.uid, plan.gid)  # so that /dev/stdout can be opened again
        options = memory_file("options", _option_file(plan, command.env, write_status))
        _owned_descriptor(given, options)
        stdin: int = asyncio.subprocess.DEVNULL
        if command.stdin:
            stdin = _owned_descriptor(given, memory_file("stdin", command.stdin))
        for fd in plan.descriptors:
            os.lseek(fd, 0, os.SEEK_SET)
        process = await asyncio.create_subprocess_exec(
            *_launcher(plan, write_status),
            plan.bwrap,
            *("--args", str(options), "--"),
            *command.argv,
            stdin=stdin,
            stdout=write_output,
            stderr=write_output,
            pass_fds=(*plan.descriptors, *given_too, write_status, options),
            start_new_session=True,
            env={},
            cwd="/",
        )
        return Child(process, output, read_status, held.pop_all())
