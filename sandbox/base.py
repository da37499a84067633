"""The sandbox protocol: what every backend promises, as plain data and one small interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.workspace import Workspace

__all__ = ["WORKDIR", "Guarantee", "Policy", "Result", "Sandbox", "SandboxError", "SandboxUnavailable"]

WORKDIR = "/workspace"
"""Where the workspace is mounted inside every sandbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits on what runs inside. Network is always off."""

    memory_mb: int = 4096
    cpus: float = 2.0
    processes: int = 256
    file_mb: int = 1024
    """Size of the largest single file that a command may write."""
    tmp_mb: int = 1024
    home_mb: int = 256
    workspace_mb: int = 2048
    """Growth of the workspace beyond its size at the start; past it the command is killed."""
    workspace_files: int = 500_000
    """New files and directories, in the workspace as among the temporary ones; more stall every tool that walks them."""
    output_bytes: int = 64 * 1024
    """How much of a command's output is kept, half from its head and half from its tail."""
    flood_mb: int = 64
    """Output past which the command is killed."""

    @property
    def tmpfs_mb(self) -> tuple[int, int, int]:
        """Sizes of /tmp, the home directory and /dev/shm: they count as memory, so together at most half of it."""
        wanted = (self.tmp_mb, self.home_mb, 64)
        share = min(1.0, self.memory_mb / 2 / sum(wanted))
        return int(self.tmp_mb * share), int(self.home_mb * share), int(64 * share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one command did.

    `exit` is the exit status as a shell reports it (128 + signal when a signal ended it), or None
    when the sandbox was lost. `head` and `tail` are the ends of stdout and stderr, interleaved as they came;
    `total_bytes` counts what was written, so `total_bytes - len(head) - len(tail)` bytes are not here.
    """

    exit: int | None
    head: bytes
    tail: bytes = b""
    total_bytes: int
    seconds: float
    timed_out: bool = False
    oom: bool = False
    killed: str = ""
    """Why we ended it ourselves ("output", "disk"); empty when we did not. A timeout sets `timed_out` instead."""
    lost: bool = False
    """The container had to be recreated: background processes and /tmp are gone."""

    @property
    def ok(self) -> bool:
        return self.exit == 0 and not self.timed_out and not self.lost

    def text(self) -> str:
        """The kept output as text: bad UTF-8 replaced, the gap named."""
        missing = self.total_bytes - len(self.head) - len(self.tail)
        head = self.head.decode("utf-8", "replace")
        if missing <= 0:
            return head + self.tail.decode("utf-8", "replace")
        return f"{head}\n[… {missing} bytes left out …]\n{self.tail.decode('utf-8', 'replace')}"


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One promise and whether this backend on this machine enforces it."""

    name: str
    enforced: bool
    how: str
    """The mechanism, or what is missing, in a few words."""
    seen: str = ""
    """What a probe saw of it on this machine; empty when none was made."""


@runtime_checkable
class Sandbox(Protocol):
    """A place for commands. Commands are stateless: each starts in `cwd` with a clean environment."""

    name: str
    """`docker`, `bubblewrap` or `none`."""
    runs: bool
    """False where commands cannot run at all: the copy can only be read and edited."""
    workspace: Workspace

    async def start(self) -> None:
        """Make it ready. Raises SandboxUnavailable with a hint when it cannot."""

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
        """Run `script` with `bash -c` in `cwd` (relative to the workspace) for at most `timeout` seconds.

        Every process that it started is gone when this returns, or when it is cancelled. `cap` overrides
        Policy.output_bytes; `on_output` gets every chunk as it comes, on the loop's thread. Raises SandboxError
        for a `cwd` outside the workspace, and when the sandbox itself failed beyond repair.
        """

    async def reset(self) -> None:
        """Forget everything outside the workspace: processes, /tmp, the home directory."""

    async def close(self) -> None:
        """End it and free what it holds. Safe to call twice. The workspace stays."""

    def guarantees(self) -> list[Guarantee]:
        """What this backend really enforces here. Valid after start()."""
