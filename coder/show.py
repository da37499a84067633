"""`coder sessions` and `coder show`: past runs, from their journals alone."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from coder import events, headless, sessions
from coder.errors import UsageError
from coder.journal import FILE, load
from coder.transcript.line import ASCII, Look, plain
from coder.transcript.model import TranscriptModel
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
    """What happened in a run, as the window shows it, and how it ended."""
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
    look = replace(_look(), whole=verbose)
    lines = TranscriptModel().fold(stream).lines(_width(), look)
    text = "\n".join(plain(line).rstrip() for line in lines) + "\n"
    if finished is None:
        return text + "\nThis run has not ended, or was killed.\n"
    patch = folder / PATCH_FILE
    return text + (clean_text(f"\n  patch: {patch}") + "\n" if patch.exists() else "")


def write_page(run: str, path: Path) -> None:
    """Write a run as one page of HTML to a new file, which its owner alone can read. Raises UsageError."""
    from coder.transcript.page import as_page

    folder = sessions.locate(sessions.home(os.environ), run)
    model = TranscriptModel().fold(load(folder / FILE))
    title = sessions.title_of(sessions.state_of(folder))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(as_page(model, title))
    except OSError as error:
        raise UsageError(f"the page {path} cannot be written: {error.strerror}") from error


def _width() -> int:
    """Columns: the terminal's, or enough for a file."""
    return min(160, shutil.get_terminal_size((100, 24)).columns) if sys.stdout.isatty() else 100


def _look() -> Look:
    """Signs that the output can hold."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return Look(split=0) if encoding.startswith("utf") else Look(glyphs=ASCII, split=0)
