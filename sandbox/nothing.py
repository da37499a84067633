"""What is left where no sandbox works: the copy can be read and edited, and no command runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sandbox import guarantees
from sandbox.base import Guarantee, Result
from sandbox.errors import SandboxUnavailable
from sandbox.workspace import Workspace

__all__ = ["Nothing"]

_NOT_RUN = 126
_SAID = b"No command can run on this machine: it has no sandbox. Read and edit files, then submit.\n"


class Nothing:
    """Answers every command with exit status 126 and the reason."""

    name = "none"
    runs = False

    def __init__(self, workspace: Workspace, problem: SandboxUnavailable) -> None:
        self.workspace = workspace
        self.problem = problem
        """Why no sandbox works here, and what would change that."""

    async def start(self) -> None:
        """See Sandbox.start."""

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
        """See Sandbox.run: nothing is run."""
        if on_output is not None:
            on_output(_SAID)
        return Result(exit=_NOT_RUN, head=_SAID, total_bytes=len(_SAID), seconds=0.0)

    async def reset(self) -> None:
        """See Sandbox.reset."""

    async def close(self) -> None:
        """See Sandbox.close."""

    def guarantees(self) -> list[Guarantee]:
        """See Sandbox.guarantees."""
        return [Guarantee(name, True, "no command runs") for name in guarantees.NAMES]
