"""The events of a conversation with a user: what was said, asked, queued, taken back."""

from __future__ import annotations

from typing import Any

import msgspec

from coder.envelope import Event


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
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
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
