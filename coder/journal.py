"""The journal: a run's events as append-only JSONL, and what a run amounts to when they are folded."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from coder import events
from coder.errors import UsageError
from coder.events import Event, Spent

FILE = "journal.jsonl"


class Journal:
    """A sink that appends complete events to `path`. Each line is written with one call, so a crash
    can tear only the last one. Raises OSError when the disk is full: the stream then drops this sink."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._drop_torn_line()

    def __call__(self, event: Event) -> None:
        if not isinstance(event, events.LOSSY):
            line = events.encode(event) + b"\n"
            while line:
                line = line[os.write(self._file, line) :]

    def _drop_torn_line(self) -> None:
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.ftruncate(self._file, content.rfind(b"\n") + 1)

    def lock(self) -> None:
        """Keep other processes from going on with this run, until `close`. Raises UsageError when one does already."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"the session {self.path.parent.name} is open elsewhere", hint="Close it there, or fork it."
            ) from None

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def load(path: Path) -> Iterator[Event]:
    """The events of a journal. A torn last line is left out; a damaged line before it raises UsageError."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"the journal {path} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            yield events.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if number == len(lines):
                return
            raise UsageError(f"line {number} of the journal {path} is damaged: {error}") from error


class RunState(msgspec.Struct):
    """What a run amounts to so far. Deltas don't change it: a live stream and its journal fold alike."""

    run: str = ""
    task: str = ""
    repository: str = ""
    workflow: str = ""
    started: float = 0.0
    model: str = ""
    sandbox: str = ""
    strategy: str = ""
    turns: int = 0
    spent: Spent = Spent()
    plan: tuple[tuple[str, bool], ...] = ()
    gates: dict[str, bool] = {}
    warnings: list[str] = []
    messages: int = 0
    title: str = ""
    """What the user called it; else empty."""
    first_task: str = ""
    tasks: int = 0
    mode: str = ""
    queued: int = 0
    asked: int = 0
    """Questions to the user that are open."""
    finished: events.RunFinished | None = None


def fold(stream: Iterable[Event]) -> RunState:
    """The state after all of `stream`."""
    state = RunState()
    for event in stream:
        advance(state, event)
    return state


def advance(state: RunState, event: Event) -> None:
    """Take one event into `state`."""
    match event:
        case events.RunStarted():
            state.run, state.started = event.run, state.started or event.t
            state.tasks += 1
            state.first_task = state.first_task or event.task
            state.finished = None
            state.task, state.repository, state.workflow = event.task, event.repository, event.workflow
        case events.Prepared():
            state.model, state.sandbox, state.strategy = event.model, event.sandbox, event.strategy
        case events.TurnStarted():
            state.turns = event.turn
        case events.UserMessage():
            state.messages += 1
        case events.AssistantMessage():
            state.messages += 1
            state.spent += event.spent
        case events.PlanUpdated():
            state.plan = event.steps
        case events.GateFinished():
            state.gates[event.name] = event.passed
        case events.Warning():
            state.warnings.append(event.text)
        case events.Renamed():
            state.title = event.title
        case events.Forked():
            state.run = event.run
        case events.ModeChanged():
            state.mode = event.mode
        case events.Queued():
            state.queued = len(event.steer) + len(event.held)
        case events.ApprovalRequested():
            state.asked += 1
        case events.ApprovalResolved():
            state.asked = max(0, state.asked - 1)
        case events.RunFinished():
            state.finished = event
        case _:
            pass
