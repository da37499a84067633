"""What the status line tells: the figures of the session, folded from its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath

from coder import events
from coder.events import Event

CHARACTERS_PER_TOKEN = 3.6
"""For the live estimate alone; the server's own count replaces it with each answer."""

SHORTEST = 0.2
"""Seconds; an answer that came faster tells nothing of the server's speed."""


@dataclass(slots=True)
class Figures:
    """`sandbox` is empty until one is there; `weak` names what it does not enforce. Times are seconds since the
    epoch, as events have them; 0 is not yet."""

    model: str = ""
    server: str = ""
    repository: str = ""
    task: str = ""
    sandbox: str = ""
    weak: tuple[str, ...] = ()
    guarantees: dict[str, bool] = field(default_factory=dict)
    turns: tuple[int, int] = (0, 0)
    context: tuple[int, int] = (0, 0)
    thinking: tuple[int, int] = (0, 0)
    cache: float | None = None
    rate: float = 0.0
    estimated: bool = False
    first_token: float = 0.0
    added: int = 0
    removed: int = 0
    doing: str = ""
    load: tuple[int, int] | None = None
    """Requests that wait on the server and that run there, while ours has not begun."""
    running: bool = False
    began: float = 0.0
    ended: float = 0.0
    _first_piece: float = 0.0
    _characters: int = 0

    def take(self, event: Event) -> None:
        match event:
            case events.RunStarted():
                self.task, self.repository = event.task, event.repository
                self.running, self.began, self.ended = True, event.t, 0.0
                self.turns = (0, self.turns[1])
            case events.Prepared():
                self._prepared(event)
            case events.TurnStarted():
                self.turns, self.doing = (event.turn, self.turns[1]), "reads"
                self._first_piece, self._characters, self.load = 0.0, 0, None
            case events.ServerLoad():
                self.load = event.waiting, event.running
            case events.ThinkingDelta() | events.TextDelta():
                self._stream(event)
            case events.AssistantMessage():
                self._answer(event)
            case events.BudgetSpent():
                self.turns, self.context = event.turns, event.context
                self.cache = event.cache if event.cache is not None else self.cache
            case events.ToolStarted():
                self.doing = event.name
            case events.ToolFinished():
                self._count(event.diff)
            case events.Activity():
                self.doing = event.text
            case events.RunFinished():
                self._finish(event)
            case _:
                pass

    def seconds(self, now: float) -> float:
        """How long the task runs, or ran."""
        return max(0.0, (self.ended or now) - self.began) if self.began else 0.0

    @property
    def place(self) -> str:
        return PurePath(self.repository).name

    def _prepared(self, event: events.Prepared) -> None:
        if event.model:
            self.model, self.server = event.model, event.server
            self.context = (self.context[0], event.context_length or self.context[1])
        if event.sandbox:
            self.sandbox, self.guarantees = event.sandbox, event.guarantees
            self.weak = tuple(name for name, kept in event.guarantees.items() if not kept)

    def _stream(self, event: events.ThinkingDelta | events.TextDelta) -> None:
        self.doing, self.load = "thinks" if isinstance(event, events.ThinkingDelta) else "writes", None
        self._first_piece = self._first_piece or event.t
        self._characters += len(event.text)
        if (seconds := event.t - self._first_piece) > 1:
            self.rate, self.estimated = self._characters / CHARACTERS_PER_TOKEN / seconds, True

    def _answer(self, event: events.AssistantMessage) -> None:
        spent, self.load = event.spent, None
        writing = event.seconds - event.first_token_seconds
        if spent.completion_tokens > 1 and writing > SHORTEST:
            self.rate, self.estimated = spent.completion_tokens / writing, False
        self.first_token = event.first_token_seconds
        self.thinking = (spent.thinking_tokens, event.allowed or 0)
        if spent.prompt_tokens:
            self.context = (spent.prompt_tokens + spent.completion_tokens, self.context[1])

    def _count(self, diff: str) -> None:
        added, removed = changes(diff)
        self.added, self.removed = self.added + added, self.removed + removed

    def _finish(self, event: events.RunFinished) -> None:
        self.running, self.ended, self.doing = False, event.t, ""
        if event.patch:
            self.added, self.removed = changes(event.patch)


def changes(diff: str) -> tuple[int, int]:
    """Lines added and removed in a unified diff."""
    lines = diff.splitlines()
    added = sum(line.startswith("+") and not line.startswith("+++") for line in lines)
    return added, sum(line.startswith("-") and not line.startswith("---") for line in lines)
