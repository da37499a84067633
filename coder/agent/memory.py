"""The conversation as the events tell it: the messages as they were sent, the user's words that one can go back to,
and the snapshots between them. A live session and one that is read from its journal have the same memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from coder import events
from coder.agent.approval import Mode
from coder.agent.context import MASK, Transcript
from coder.events import Event
from coder.model import messages
from coder.model.messages import Message, ToolCall
from coder.model.profile import Profile

SPAN = "task"
"""The span whose events make the conversation."""
SHELL = "shell"
"""The span of the user's own commands."""


@dataclass(frozen=True, slots=True)
class Said:
    """A task of the user. `messages` counts what stood before it, `tree` is the snapshot before it (empty: the
    untouched copy), `paths` what was changed from it to the next."""

    time: float
    text: str
    messages: int
    tree: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Files that went from one snapshot to another during the task of this index, or by the user's own command."""

    before: str
    after: str
    index: int


@dataclass(slots=True)
class Memory:
    """Feed it every event with `advance`."""

    messages: list[Message] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    tree: str = ""
    """The latest snapshot; empty for the untouched copy."""
    undo: list[Step] = field(default_factory=list)
    redo: list[Step] = field(default_factory=list)
    mode: Mode = Mode.AUTO
    title: str = ""
    repository: str = ""
    running: bool = False
    """A task began and has not ended."""
    asked: set[str] = field(default_factory=set)
    """Questions without an answer."""
    seq: int = 0
    plan: tuple[tuple[str, bool], ...] = ()

    def advance(self, event: Event) -> None:
        if isinstance(event, events.LOSSY):
            return
        self.seq = event.seq
        if event.span == SPAN:
            self._hear(event)
        match event:
            case events.RunStarted():
                self.running, self.repository = True, event.repository
            case events.RunFinished():
                self.running = False
                self._close_step()
            case events.UserMessage(steer=False):
                before = max(0, len(self.messages) - 1) if event.span == SPAN else len(self.messages)
                self.said.append(Said(event.t, event.typed or event.text, before, event.tree))
                self.tree = event.tree
            case events.Checkpoint():
                self._note_files(event)
            case events.Undone():
                self._undone(event)
            case events.Rewound():
                del self.said[event.index :]
                self.undo = [step for step in self.undo if step.index < event.index]
                self.redo.clear()
                self.tree = event.tree
            case events.ModeChanged() if event.mode in set(Mode):
                self.mode = Mode(event.mode)
            case events.Renamed():
                self.title = event.title
            case events.PlanUpdated():
                self.plan = event.steps
            case events.ApprovalRequested():
                self.asked.add(event.id)
            case events.ApprovalResolved():
                self.asked.discard(event.id)
            case _:
                pass

    def transcript(self, profile: Profile) -> Transcript | None:
        """The messages as this model is sent them; None when nothing was said yet."""
        if not self.messages:
            return None
        kept = profile.thinking.keep_history
        return Transcript(*(dict(m) if kept else _without_thought(m) for m in self.messages))

    def open_calls(self) -> list[tuple[str, str]]:
        """Id and name of each call that has no result yet."""
        return Transcript(*self.messages).open_calls()

    def _hear(self, event: Event) -> None:
        said = self.messages
        match event:
            case events.ConversationStarted():
                self.messages = [messages.system(event.system)]
            case events.UserMessage(steer=False) if said:
                said.append(messages.user(event.text))
            case events.Told(call=""):
                said.append(messages.user(event.text))
            case events.Told() if said:
                said[-1] = messages.tool(event.call, event.text)
            case events.AssistantMessage() if said:
                said.append(_assistant(event))
            case events.ToolFinished() if said:
                said.append(messages.tool(event.call, event.text))
            case events.Masked():
                _blank(said, event.messages)
            case events.Restarted() | events.Rewound():
                del said[event.messages :]
            case _:
                pass

    def _note_files(self, event: events.Checkpoint) -> None:
        if event.span == SHELL:
            self.undo.append(Step(self.tree, event.tree, len(self.said) - 1))
            self.redo.clear()
        elif self.said:
            last = self.said[-1]
            paths = tuple(sorted({*last.paths, *event.paths}))
            self.said[-1] = replace(last, paths=paths)
        self.tree = event.tree

    def _close_step(self) -> None:
        if self.said and self.said[-1].tree != self.tree:
            self.undo.append(Step(self.said[-1].tree, self.tree, len(self.said) - 1))
            self.redo.clear()

    def _undone(self, event: events.Undone) -> None:
        here, there = (self.redo, self.undo) if event.again else (self.undo, self.redo)
        if here:
            there.append(here.pop())
        self.tree = event.tree


def _assistant(event: events.AssistantMessage) -> Message:
    calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in event.calls)
    return messages.said_before(event.text, event.thinking, calls)


def _without_thought(message: Message) -> Message:
    return {key: value for key, value in message.items() if key not in ("reasoning", "reasoning_content")}


def _blank(said: list[Message], count: int) -> None:
    """What Transcript.mask did: the oldest results that still stood."""
    standing = [m for m in said if m["role"] == "tool" and m["content"] != MASK]
    for message in standing[:count]:
        message["content"] = MASK


Past = Callable[[Profile], Transcript | None]
