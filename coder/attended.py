"""A task with somebody there: in the window, or in words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from coder import sessions
from coder.config import default_user_file
from coder.errors import UsageError
from coder.tui.link import Connect, Opened
from coder.workflows.port import Mode
from coder.workflows.request import Request

if TYPE_CHECKING:
    from coder.workflows.session import Session

UNATTENDED, WINDOW, WORDS = "unattended", "window", "words"
_ONE_SHOT = ("headless", "output_format", "quiet", "verbose", "apply", "branch", "patch")
"""Flags that say what becomes of one task: nothing is left to talk about."""


def attend(face: str, request: Request, *, mode: str, session: str = "", typed: str = "") -> int:
    """Work on `request` (its task may be empty) with the user, or go on with a past `session`; the exit status.

    `typed` is what the user has typed already.
    """
    wanted = Mode(mode) if mode else Mode.ASK if request.config.sandbox == "none" else Mode.AUTO
    connect = connecting(request, wanted, session)
    if face == WORDS:
        from coder.tui.plain import run_plain

        return run_plain(connect, task=request.task, mode=wanted)
    from coder.tui.opening import run_window
    from coder.tui.settings import Settings

    config = request.config
    settings = Settings(
        state=sessions.home(os.environ).parent,
        folder=request.session,
        theme=config.theme,
        themes=default_user_file(os.environ).parent / "themes",
        keys=config.keys,
        mouse=config.mouse == "on",
    )
    return run_window(
        connect, settings, task=request.task, mode=wanted, dump=config.scrollback == "on", typed=typed
    )


def connecting(request: Request, mode: Mode, session: str) -> Connect:
    """Opens sessions for a window: first the one that `request` is for (or the past `session`), then others by id."""
    first = True

    async def connect(other: str) -> Opened:
        nonlocal first
        run, first = other or (session if first else ""), False
        chosen = await asyncio.to_thread(_of_session, request, run) if run else request
        opened = await asyncio.to_thread(_load)
        working = opened(chosen, mode=None if run else mode)
        try:
            await working.open()
        except OSError as error:
            raise UsageError(
                f"the session {chosen.session} cannot be opened: {error.strerror}",
                hint="Free some disk space, or name another directory with --session.",
            ) from error
        return Opened(port=working, folder=chosen.session, past=working.past)

    return connect


def _load() -> type[Session]:
    """Everything that works is imported here, in a thread, when the window has been drawn."""
    from coder.model.endpoint import warm_up
    from coder.workflows.session import Session

    warm_up()
    return Session


def _of_session(request: Request, run: str) -> Request:
    """The same wishes for a past session, in its own repository."""
    folder = sessions.locate(sessions.home(os.environ), run)
    repository = sessions.state_of(folder).repository
    directory = Path(repository) if repository else request.directory
    if not directory.is_dir():
        raise UsageError(f"the repository of that session is gone: {directory}")
    return replace(request, session=folder, state=folder, run=folder.name, directory=directory)


def face_of(flags: Mapping[str, object], environ: Mapping[str, str], *, must: bool = False) -> str:
    """What this run is shown in. `must`: without somebody there it makes no sense, and UsageError says so."""
    from coder.tui.terminal import is_terminal, refusal, wants_plain

    asked = any(flags.get(name) for name in _ONE_SHOT)
    if asked or not is_terminal():
        if must:
            raise UsageError(
                "there is no terminal to talk in" if not asked else "an unattended run needs a task",
                hint='Say what to do: coder "fix the parser"',
            )
        return UNATTENDED
    if flags.get("plain") or wants_plain(environ):
        return WORDS
    reason = refusal(environ)
    if not reason:
        return WINDOW
    if reason.startswith("the terminal"):
        return WORDS
    if must:
        raise UsageError(
            f"no window can be drawn: {reason}", hint="Leave the redirection away, or add --plain."
        )
    return UNATTENDED
