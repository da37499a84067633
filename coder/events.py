"""The event vocabulary: one stream of plain data for the journal and every face.

An event is its own envelope: `Stream` stamps `seq`, `t`, `run`, `span` and `parent` on it. Deltas are
lossy (never journalled, may be coalesced); all others are complete. The wire form is one flat JSON object
with a `type`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from coder.envelope import VERSION as VERSION
from coder.envelope import Call as Call
from coder.envelope import Event as Event
from coder.envelope import Spent as Spent
from coder.review_events import CandidateChosen as CandidateChosen
from coder.review_events import CandidateFinished as CandidateFinished
from coder.review_events import CandidateStarted as CandidateStarted
from coder.review_events import Finding as Finding
from coder.review_events import FindingResolved as FindingResolved
from coder.review_events import Verdict as Verdict
from coder.session_events import Applied as Applied
from coder.session_events import ApprovalRequested as ApprovalRequested
from coder.session_events import ApprovalResolved as ApprovalResolved
from coder.session_events import ConversationStarted as ConversationStarted
from coder.session_events import Forked as Forked
from coder.session_events import ModeChanged as ModeChanged
from coder.session_events import PlanProposed as PlanProposed
from coder.session_events import Queued as Queued
from coder.session_events import Renamed as Renamed
from coder.session_events import Restarted as Restarted
from coder.session_events import Rewound as Rewound
from coder.session_events import ThinkingChanged as ThinkingChanged
from coder.session_events import Told as Told
from coder.session_events import Undone as Undone
from coder.session_events import UserMessage as UserMessage


class RunStarted(Event, frozen=True, tag=True):
    task: str
    workflow: str
    repository: str
    base: str = ""
    """The commit that the repository was at, or empty."""


class Prepared(Event, frozen=True, tag=True):
    """What the run will use, and why."""

    model: str = ""
    server: str = ""
    profile: str = ""
    strategy: str = ""
    sandbox: str = ""
    why: str = ""
    thinking: str = ""
    context_length: int | None = None
    guarantees: dict[str, bool] = msgspec.field(default_factory=dict)


class Promise(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a sandbox enforces, or does not: by which mechanism, and what a probe on this machine saw of it."""

    name: str
    enforced: bool
    how: str = ""
    seen: str = ""


class Guaranteed(Event, frozen=True, tag=True):
    """The guarantees of the sandbox in use. Comes again when a probe has found out more."""

    sandbox: str
    promises: tuple[Promise, ...] = ()


class TurnStarted(Event, frozen=True, tag=True):
    """`thinking` is the level of this turn (off, low, full or tokens), `step` why: diagnosis, failure or routine."""

    turn: int
    thinking: str = ""
    step: str = ""


class ThinkingDelta(Event, frozen=True, tag=True):
    text: str


class TextDelta(Event, frozen=True, tag=True):
    text: str


class AssistantMessage(Event, frozen=True, tag=True):
    """`allowed` is the thinking budget in tokens, None where there was none. `finish` is the server's word, or ours:
    budget, enough; interrupted: all that was said so far; ended: put there for the model after its submission."""

    text: str
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = ""
    spent: Spent = Spent()
    allowed: int | None = None
    seconds: float = 0.0
    first_token_seconds: float = 0.0


class ToolStarted(Event, frozen=True, tag=True):
    call: str
    name: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)


class ToolOutput(Event, frozen=True, tag=True):
    call: str
    text: str


class ToolFinished(Event, frozen=True, tag=True):
    call: str
    name: str
    text: str
    ok: bool = True
    exit: int | None = None
    diff: str = ""
    seconds: float = 0.0


class PlanUpdated(Event, frozen=True, tag=True):
    steps: tuple[tuple[str, bool], ...]


class SuiteRan(Event, frozen=True, tag=True):
    """`stage` is before, attempt or after; `failing` lists node ids."""

    stage: str
    passed: int = 0
    failed: int = 0
    failing: tuple[str, ...] = ()
    seconds: float = 0.0


class BudgetSpent(Event, frozen=True, tag=True):
    """Spent and allowed after a turn; an allowance of 0 means no cap. `thinking` is this turn's, in tokens;
    `context` the prompt's tokens and the model's context length; `cache` the share of reusable tokens that the
    server had cached, None where nothing was reusable yet."""

    turns: tuple[int, int]
    tokens: tuple[int, int]
    seconds: tuple[float, float]
    thinking: tuple[int, int] = (0, 0)
    context: tuple[int, int] = (0, 0)
    cache: float | None = None


class Masked(Event, frozen=True, tag=True):
    """Old tool results were blanked to make room; `messages` counts them. `tokens` is what the prompt had, `limit`
    the context length, 0 where it is not known."""

    messages: int
    tokens: int = 0
    limit: int = 0


class Checkpoint(Event, frozen=True, tag=True):
    tree: str
    paths: tuple[str, ...] = ()


class GateFinished(Event, frozen=True, tag=True):
    """`output` is what the check printed, cut; a gate that is not `applicable` had nothing to check."""

    name: str
    passed: bool
    detail: str = ""
    output: str = ""
    applicable: bool = True


class Activity(Event, frozen=True, tag=True):
    """What is going on just now, for a face's live line; the next one replaces it."""

    text: str


class ServerLoad(Event, frozen=True, tag=True):
    """What the server works on while our request waits: requests that run, and that wait. Never journalled."""

    running: int
    waiting: int = 0


class Note(Event, frozen=True, tag=True):
    """Progress in words, for people."""

    text: str


class Warning(Event, frozen=True, tag=True):  # noqa: A001 - the vocabulary's own word
    text: str


class NetworkAttempt(Event, frozen=True, tag=True):
    """A command asked for a host. The first time of its kind only; the result counts them."""

    host: str
    port: int
    allowed: bool
    why: str = ""


class Retried(Event, frozen=True, tag=True):
    reason: str


class RunFinished(Event, frozen=True, tag=True):
    """The end of every run. `status` is solved, unsolved, limit, model, sandbox, usage or interrupted, in a
    session also answered or planned (no file was to change), in an evaluation unverified (judged elsewhere); `reason` a short fixed word, `sentence` the same for people. `thinking` is what was allowed at which step."""

    status: str
    reason: str
    sentence: str
    exit: int
    patch: str = ""
    summary: str = ""
    evidence: dict[str, Any] = msgspec.field(default_factory=dict)
    spent: Spent = Spent()
    thinking: dict[str, str] = msgspec.field(default_factory=dict)
    timings: dict[str, float] = msgspec.field(default_factory=dict)


AnyEvent = (
    RunStarted
    | Prepared
    | Guaranteed
    | ConversationStarted
    | UserMessage
    | Told
    | Restarted
    | Queued
    | ModeChanged
    | ThinkingChanged
    | ApprovalRequested
    | ApprovalResolved
    | PlanProposed
    | Rewound
    | Undone
    | Applied
    | Renamed
    | Forked
    | TurnStarted
    | ThinkingDelta
    | TextDelta
    | AssistantMessage
    | ToolStarted
    | ToolOutput
    | ToolFinished
    | PlanUpdated
    | SuiteRan
    | BudgetSpent
    | Masked
    | Checkpoint
    | GateFinished
    | CandidateStarted
    | CandidateFinished
    | CandidateChosen
    | Verdict
    | FindingResolved
    | Activity
    | ServerLoad
    | Note
    | Warning
    | NetworkAttempt
    | Retried
    | RunFinished
)
LOSSY = (ThinkingDelta, TextDelta, ToolOutput, Activity, ServerLoad)

Emit = Callable[[Event], Awaitable[None]]
Sink = Callable[[Event], Awaitable[None] | None]

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """One line of JSON without its newline. Lone surrogates (file names) are replaced, never an error."""
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:
        return _encoder.encode(_printable(msgspec.to_builtins(event)))


def decode(line: bytes) -> Event:
    """The event of one line. Raises msgspec.DecodeError on anything else."""
    return _decoder.decode(line)


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def within(emit: Emit, span: str) -> Emit:
    """An emitter for a part of the part that `emit` is for."""

    async def emit_within(event: Event) -> None:
        await emit(msgspec.structs.replace(event, span=event.span or span))

    return emit_within


class Stream:
    """Stamps events and hands each to every sink, in order. A sink that raises is dropped with a Warning."""

    def __init__(self, run: str, *sinks: Sink, seq: int = 0) -> None:
        """`seq` is the number of the last event before this stream, where it goes on with a journal."""
        self.run = run
        self._sinks: list[Sink] = list(sinks)
        self._seq = seq

    def add(self, sink: Sink) -> None:
        self._sinks.append(sink)

    def remove(self, sink: Sink) -> None:
        self._sinks.remove(sink)

    def span(self, name: str, parent: str = "") -> Emit:
        """An emitter for one named part of the run."""

        async def emit(event: Event) -> None:
            await self._emit(
                msgspec.structs.replace(event, span=event.span or name, parent=event.parent or parent)
            )

        return emit

    async def emit(self, event: Event) -> None:
        await self._emit(event)

    async def _emit(self, event: Event) -> None:
        self._seq += 1
        stamped = msgspec.structs.replace(event, seq=self._seq, t=round(time.time(), 3), run=self.run)
        for sink in list(self._sinks):
            try:
                pending = sink(stamped)
                if pending is not None:
                    await pending
            except Exception as error:  # noqa: BLE001 - the sink boundary: a broken face must not end the run
                self._sinks.remove(sink)
                await self._emit(Warning(text=f"an output was dropped: {type(error).__name__}: {error}"))
