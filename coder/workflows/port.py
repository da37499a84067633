"""What a window asks of whoever does the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from coder.agent.approval import Answer, ApprovalRequest, Mode
from coder.events import Finding, Sink

__all__ = ["Answer", "ApprovalRequest", "CheckpointInfo", "Mode", "Port"]


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """A user's message that one can go back to."""

    index: int
    """Counts from 0."""
    time: float
    """Seconds since the epoch."""
    line: str
    """The first line of the message."""
    paths: tuple[str, ...] = ()
    """What was changed between this message and the next."""


class Port(Protocol):
    """Nothing here blocks for long; events tell what came of it. All is called on the loop's thread.

    What cannot be done now (rewind while a task runs, an unknown checkpoint) raises UsageError with a sentence.
    """

    @property
    def mode(self) -> Mode:
        """What passes without asking."""

    def listen(self, sink: Sink) -> None:
        """Give `sink` every event, in order, from now on."""

    async def send(self, text: str) -> None:
        """A task when idle; while one runs, steering at the next tool boundary."""

    def hold(self, text: str) -> None:
        """Delivered as a task when the present one is done."""

    def take_back(self) -> str:
        """The last queued text, no longer queued, or an empty one."""

    def queued(self) -> tuple[str, ...]:
        """What waits, oldest first."""

    @property
    def busy(self) -> bool:
        """Whether a task runs."""

    async def interrupt(self) -> tuple[str, ...]:
        """Stop the task; queued texts come back. Returns when nothing runs any more."""

    def answer(self, id: str, answer: Answer) -> None:  # noqa: A002 - the event's own word
        """Answer an ApprovalRequested. Too late an answer is ignored."""

    def set_mode(self, mode: Mode) -> None:
        """Holds from the next call on; an approval that need not be asked any more is given."""

    def set_thinking(self, level: str) -> None:
        """off, low, full or tokens, from the next task on. Raises ConfigError for anything else."""

    async def carry_out(self, plan: str, mode: Mode = Mode.AUTO) -> None:
        """Have a proposed plan carried out as the user left it, a step a line."""

    def checkpoints(self) -> Sequence[CheckpointInfo]:
        """The messages that one can go back to, oldest first."""

    async def rewind(self, index: int) -> str:
        """Files and conversation as they were before a message; returns its text."""

    async def undo(self) -> str:
        """The files as they were before the last task that changed some; a sentence."""

    async def redo(self) -> str:
        """Take the last undo back; a sentence."""

    async def shell(self, command: str) -> None:
        """Run the user's own command in the sandbox; it shows up as the events of a tool named `shell`."""

    async def files(self) -> Sequence[str]:
        """The paths that can be mentioned with @."""

    async def diff(self) -> str:
        """What differs between the copy and the user's files, as a patch."""

    async def apply(self, *, anyway: bool = False) -> str:
        """Put the change into the user's files when every gate was passed, or `anyway`; a sentence."""

    async def resolve(self, finding: Finding, *, accepted: bool) -> None:
        """The user's word on a review's finding; an accepted one goes to the engineer as if the user had said it."""

    async def rename(self, title: str) -> None:
        """Give the session a title."""

    async def close(self) -> None:
        """End what runs, free the copy and the sandboxes. The session stays on the disk."""
