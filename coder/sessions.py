"""Past runs: where they are kept, and how to list and show them."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from coder.errors import UsageError
from coder.journal import FILE, RunState, fold, load


def home(environ: Mapping[str, str]) -> Path:
    """The directory of all runs, one folder each (XDG state directory)."""
    base = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME") or "/") / ".local" / "state"
    return Path(base) / "coder" / "runs"


def new_id() -> str:
    """Sorts by time; readable; unique beside others started in the same second."""
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


def recent(directory: Path) -> list[Path]:
    """The runs' folders, newest first."""
    try:
        return sorted((entry for entry in directory.iterdir() if (entry / FILE).exists()), reverse=True)
    except FileNotFoundError:
        return []


def locate(directory: Path, run: str) -> Path:
    """The folder of `run`: an id, the beginning of one, a path, or empty for the newest."""
    if os.sep in run and (Path(run) / FILE).exists():
        return Path(run)
    found = [entry for entry in recent(directory) if entry.name.startswith(run)]
    if not found:
        raise UsageError(
            f"there is no run {run!r}" if run else "there are no runs yet", hint="See `coder sessions`."
        )
    if run and len(found) > 1 and found[0].name != run:
        raise UsageError(f"{run!r} names {len(found)} runs", hint="Give more of its id.")
    return found[0]


def state_of(folder: Path) -> RunState:
    return fold(load(folder / FILE))
