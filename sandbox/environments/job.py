"""What a set-up is asked to do, how much it may use, and how it fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.base import Policy
from sandbox.environments.recipe import Recipe
from sandbox.environments.store import Store
from sandbox.errors import SandboxError
from sandbox.workspace import Workspace

if TYPE_CHECKING:
    from sandbox.network import Network

__all__ = ["DIRECTORY_FILES", "DIRECTORY_MB", "SECONDS", "Job", "SetupFailed", "policy"]

SECONDS = 1800.0
"""How long a whole set-up may take."""
DIRECTORY_MB = 20 * 1024
"""How large an environment may get."""
DIRECTORY_FILES = 1_000_000
"""How many files and directories it may have: packages have more than a workspace."""


class SetupFailed(SandboxError):
    """A set-up ended before it was done. `step` is the command, `lines` the last it said, `log` all of it."""

    def __init__(self, message: str, *, hint: str, step: str, lines: tuple[str, ...], log: Path) -> None:
        super().__init__(message, hint=hint)
        self.step = step
        self.lines = lines
        self.log = log


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One set-up. `workspace` is a copy for it alone; nothing of it is kept."""

    recipe: Recipe
    workspace: Workspace
    project: Path
    """The user's own directory."""
    backend: str
    """docker or bubblewrap."""
    store: Store
    log: Path
    say: Callable[[str], None]
    """Gets each line for the terminal, cleaned."""
    environ: Mapping[str, str]
    """The user's own: where their certificates and their Python are."""
    passed: Mapping[str, str] = field(default_factory=dict)
    """Variables of the user for the steps, and for nothing else."""
    network: Network | None = None
    timeout: float = SECONDS
    """Seconds for all of it."""
    directory_mb: int = DIRECTORY_MB
    image: str = ""
    """Docker: the image where the recipe names none."""

    @property
    def named_image(self) -> str:
        return self.recipe.image or self.image


def policy() -> Policy:
    """Limits of a set-up: compilers want more than tests."""
    memory = (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) >> 20
    return Policy(
        memory_mb=max(1024, min(8192, memory * 3 // 4)),
        cpus=float(os.cpu_count() or 1),
        processes=1024,
        file_mb=4096,
        home_mb=512,
        workspace_mb=4096,
    )
