"""Past runs and sessions: where they are kept, how to find, copy, name and remove them."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from coder.errors import UsageError
from coder.events import Event, Forked, Renamed
from coder.journal import FILE, Journal, RunState, fold, load
from sandbox.owner import is_gone, me
from sandbox.walking import remove_tree

KEPT = ("trees", "blobs", "conflicts")
"""The directories of a session that hold its snapshots (`sandbox.keeping`)."""
MAX_TITLE = 120
OWNER = "owner"
"""The file that names the process whose copies lie beside it."""


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


def fork(directory: Path, folder: Path) -> str:
    """A copy of the session in `folder`: its journal and kept snapshots under a new id, which is returned."""
    run = new_id()
    copy = directory / run
    try:
        copy.mkdir(parents=True, mode=0o700)
        for name in KEPT:
            if (folder / name).is_dir():
                shutil.copytree(folder / name, copy / name)
        journal = _whole_lines(folder / FILE)
        (copy / FILE).touch(0o600)
        (copy / FILE).write_bytes(journal)
    except OSError as error:
        raise UsageError(f"the session cannot be copied: {error.strerror or error}") from error
    _append(copy, Forked(origin=folder.name, run=run))
    return run


def rename(folder: Path, title: str) -> None:
    """Give a session a title; an empty one takes it away. Works while it is open elsewhere, too."""
    _append(folder, Renamed(title=" ".join(title.split())[:MAX_TITLE], run=folder.name))


def refuse_in_use(folder: Path) -> None:
    """Raises UsageError while a process works in `folder`."""
    try:
        owner = (folder / OWNER).read_text()
    except OSError:
        return
    if owner != me() and not is_gone(owner):
        raise UsageError(f"the run {folder.name} is still at work", hint="Wait for its end, or fork it.")


def delete(folder: Path) -> None:
    """Remove a session with all that belongs to it. Raises UsageError while it is open."""
    refuse_in_use(folder)
    journal = Journal(folder / FILE)
    try:
        journal.lock()
        remove_tree(folder)
    except OSError as error:
        raise UsageError(f"the session cannot be removed: {error.strerror or error}") from error
    finally:
        journal.close()


def title_of(state: RunState) -> str:
    """What a session is called: its title, or the first line of its first task."""
    return state.title or next(iter(state.first_task.splitlines()), "")


def _append(folder: Path, event: Event) -> None:
    journal = Journal(folder / FILE)
    try:
        last = max((known.seq for known in load(folder / FILE)), default=0)
        journal(msgspec.structs.replace(event, seq=last + 1, t=round(time.time(), 3)))
    finally:
        journal.close()


def _whole_lines(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1]


def state_of(folder: Path) -> RunState:
    return fold(load(folder / FILE))
