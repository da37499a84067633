"""`coder sessions` and `coder show`: past runs, from their journals alone."""

from __future__ import annotations

import os
import time

import msgspec

from coder import events, headless, sessions
from coder.errors import UsageError
from coder.journal import FILE, load
from coder.workflows.deliver import PATCH_FILE
from sandbox.text import clean_text


def list_runs(count: int) -> str:
    """One line a run, newest first; a damaged journal is named, not fatal."""
    lines = []
    for folder in sessions.recent(sessions.home(os.environ))[:count]:
        try:
            state = sessions.state_of(folder)
        except UsageError:
            lines.append(f"{folder.name}  damaged journal")
            continue
        status = state.finished.status if state.finished else "unfinished"
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.started))
        task = " ".join(sessions.title_of(state).split())[:60]
        lines.append(f"{folder.name}  {started}  {status:<11}  {state.turns:>3} turns  {task}")
    return clean_text("\n".join(lines)) + "\n" if lines else "No runs yet.\n"


def show_run(run: str, output_format: str, *, verbose: bool) -> str:
    """What happened in a run, as it was told while it ran, and how it ended."""
    folder = sessions.locate(sessions.home(os.environ), run)
    journal = folder / FILE
    stream = list(load(journal))
    if output_format == "jsonl":
        return "".join(events.encode(event).decode() + "\n" for event in stream)
    finished = sessions.state_of(folder).finished
    if output_format == "json":
        if finished is None:
            return msgspec.json.encode(sessions.state_of(folder)).decode() + "\n"
        return headless.as_json(finished, journal)
    told = (headless.describe(event, verbose=verbose) for event in stream)
    text = clean_text("\n".join(line for line in told if line)) + "\n\n"
    if finished is None:
        return text + "This run has not ended, or was killed.\n"
    patch = folder / PATCH_FILE
    return text + headless.as_text(finished, patch if patch.exists() else None)
