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

VERSION = 1


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """`t` is seconds since the epoch; `span` names the part of the run; `parent` is the span around it."""

    v: int = VERSION
    seq: int = 0
    t: float = 0.0
    run: str = ""
    span: str = ""
    parent: str = ""


class Call(msgspec.Struct, frozen=True):
    """A tool call as the model asked for it."""

    id: str
    name: str
    arguments: dict[str, Any]


class Spent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens as the server counted them (thinking is part of completion, cached of prompt). `thinking_cuts` counts
    the thoughts that were ended at their budget on our side."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    thinking_tokens: int = 0
    tool_calls: int = 0
    turns: int = 0
    thinking_cuts: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))


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
    guarantees: dict[str, bool] = {}


class ConversationStarted(Event, frozen=True, tag=True):
    """A conversation begins with this system message."""

    system: str


class UserMessage(Event, frozen=True, tag=True):
    """What the model was sent as the user's word. `typed` is what the user wrote, where that is not the same;
    `tree` the snapshot of the files at that moment, empty for the untouched copy. A `steer` came while the model
    worked: it was delivered inside a `Told`."""

    text: str
    typed: str = ""
    tree: str = ""
    steer: bool = False


class Told(Event, frozen=True, tag=True):
    """What the model was really told: instead of the result of `call`, or, without one, as a user's message."""

    text: str
    call: str = ""


class Restarted(Event, frozen=True, tag=True):
    """The conversation goes on from its first `messages` messages: the model had gone in circles."""

    messages: int
    reason: str = ""


class Queued(Event, frozen=True, tag=True):
    """What waits for the model after each change, oldest first: `steer` for the next tool's end, `held` for the
    end of the task."""

    steer: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


class ModeChanged(Event, frozen=True, tag=True):
    """What may be done without asking from now on: plan, ask, edits or auto."""

    mode: str


class ThinkingChanged(Event, frozen=True, tag=True):
    """How much may be thought from the next task on: off, low, full or tokens."""

    level: str


class ApprovalRequested(Event, frozen=True, tag=True):
    """A call waits for the user. `what` is the command or path, `why` the reason for asking, `diff` what an edit
    would change; `prefix` a rule that would fit (empty: none can), `session` what an answer for the session covers."""

    id: str
    call: str
    tool: str
    arguments: dict[str, Any] = {}
    what: str = ""
    cwd: str = ""
    why: str = ""
    diff: str = ""
    prefix: str = ""
    session: str = ""


class ApprovalResolved(Event, frozen=True, tag=True):
    """`answer` is once, session, prefix, no, mode (a change of mode answered) or interrupted; `text` the rule or
    the reason."""

    id: str
    answer: str
    text: str = ""


class PlanProposed(Event, frozen=True, tag=True):
    """The end of planning: the user may edit this and have it carried out."""

    text: str
    steps: tuple[str, ...] = ()


class Rewound(Event, frozen=True, tag=True):
    """Conversation and files are as they were before the user's message number `index`: the first `messages`
    messages, and the snapshot `tree`. `text` is that message, for the composer."""

    index: int
    messages: int
    tree: str = ""
    text: str = ""
    paths: tuple[str, ...] = ()


class Undone(Event, frozen=True, tag=True):
    """The files alone went back to `tree`, or forward `again`."""

    tree: str
    paths: tuple[str, ...] = ()
    again: bool = False


class Applied(Event, frozen=True, tag=True):
    """The change is in the user's own files now."""

    tree: str
    paths: tuple[str, ...] = ()


class Renamed(Event, frozen=True, tag=True):
    title: str


class Forked(Event, frozen=True, tag=True):
    """All before this was copied from the run `origin`."""

    origin: str


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
    """`allowed` is the thinking budget in tokens, None where there was none."""

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
    arguments: dict[str, Any] = {}


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
    name: str
    passed: bool
    detail: str = ""


class Activity(Event, frozen=True, tag=True):
    """What is going on just now, for a face's live line; the next one replaces it."""

    text: str


class Note(Event, frozen=True, tag=True):
    """Progress in words, for people."""

    text: str


class Warning(Event, frozen=True, tag=True):  # noqa: A001 - the vocabulary's own word
    text: str


class Retried(Event, frozen=True, tag=True):
    reason: str


class RunFinished(Event, frozen=True, tag=True):
    """The end of every run. `status` is solved, unsolved, limit, model, sandbox, usage or interrupted;
    `reason` a short fixed word, `sentence` the same for people. `thinking` is what was allowed at which step."""

    status: str
    reason: str
    sentence: str
    exit: int
    patch: str = ""
    summary: str = ""
    evidence: dict[str, Any] = {}
    spent: Spent = Spent()
    thinking: dict[str, str] = {}
    timings: dict[str, float] = {}


AnyEvent = (
    RunStarted
    | Prepared
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
    | Activity
    | Note
    | Warning
    | Retried
    | RunFinished
)
LOSSY = (ThinkingDelta, TextDelta, ToolOutput, Activity)

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


class Stream:
    """Stamps events and hands each to every sink, in order. A sink that raises is dropped with a Warning."""

    def __init__(self, run: str, *sinks: Sink, seq: int = 0) -> None:
        """`seq` is the number of the last event before this stream, where it goes on with a journal."""
        self.run = run
        self._sinks: list[Sink] = list(sinks)
        self._seq = seq

    def add(self, sink: Sink) -> None:
        self._sinks.append(sink)

    def span(self, name: str, parent: str = "") -> Emit:
        """An emitter for one named part of the run."""

        async def emit(event: Event) -> None:
            await self._emit(msgspec.structs.replace(event, span=name, parent=parent))

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
