"""What the user asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from coder.config import Config
from coder.environment import Prepared
from coder.workflows.share import WHOLE, Share

Approve = Callable[[str], Awaitable[bool]]
"""Shown a patch, says whether to apply it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`workflow` is fix (a failing test is expected) or run (any other task)."""

    task: str
    workflow: str
    directory: Path
    config: Config
    session: Path
    """The run's own directory: journal and patch."""
    state: Path
    """Where the disposable copies are made; never inside the repository."""
    run: str
    apply: bool = False
    approve: Approve | None = None
    """Asked with the patch when `apply` is off and every gate was passed."""
    branch: str = ""
    patch: Path | None = None
    must_change: bool = True
    """Ending without a change is refused."""
    verify: bool = True
    """Off: the change is handed over as it is, without gates, since it is judged elsewhere. A review runs no tests."""
    share: Share = WHOLE
    prepared: Prepared | None = None
    """What commands run with, where the caller has prepared it; else it is found."""
