"""What killed runs left behind: found by the next one, and removed or taken back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coder.sessions import OWNER
from coder.workflows.deliver import PATCH_FILE
from sandbox.owner import is_gone
from sandbox.recovery import recover
from sandbox.walking import remove_tree

_COPIES = (
    "workspace", "shadow.git", "rules", "clean-*", "scratch-*", "seccomp-*", "door-*", "*.draft", f".{PATCH_FILE}.*"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Swept:
    """`dead` counts the killed runs; `said` is what the user should know, a sentence each."""

    dead: int
    said: tuple[str, ...]


def sweep(runs: Path) -> Swept:
    """Remove the copies that killed runs left among `runs`, and take back what they did to a tree by half.

    Their journals and patches stay.
    """
    dead, said = 0, list[str]()
    for owner in [*runs.glob(f"*/{OWNER}"), *runs.glob(f"*/candidate-*/{OWNER}")]:
        with contextlib.suppress(OSError):
            if is_gone(owner.read_text()):
                said += recover(owner.parent)
                for copy in _copies(owner.parent):
                    remove_tree(copy) if copy.is_dir() else copy.unlink()
                owner.unlink()
                dead += 1
    return Swept(dead, tuple(said))


def _copies(state: Path) -> Iterator[Path]:
    for pattern in _COPIES:
        yield from state.glob(pattern)
