"""Notices: what is told in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from coder import events
from coder.events import Event
from coder.transcript import words
from coder.transcript.block import Said, Title

_ANSWERS = {
    "once": "allowed once",
    "session": "allowed for this session",
    "prefix": "allowed by a new rule",
    "no": "refused",
    "mode": "allowed by the change of mode",
    "interrupted": "not answered",
}
_NAMED = 5
"""Paths that are named; the others are counted."""


def notice(event: Event) -> Said | Title | None:
    """What is told of `event`, or nothing."""
    match event:
        case events.RunStarted():
            return Title(f"{event.workflow}: {event.task}", event.repository)
        case events.Prepared(sandbox=""):
            return note(f"model {words.described_model(event)}")
        case events.Prepared():
            return note(f"sandbox {event.sandbox}: {event.why}")
        case events.Guaranteed():
            missing = words.not_enforced(event)
            return warning(f"sandbox: {missing}") if missing else None
        case events.NetworkAttempt():
            told = f"network: {words.attempted(event)}"
            return note(told) if event.allowed else warning(told)
        case events.Masked():
            full = f" ({event.tokens} tokens of {event.limit})" if event.limit else ""
            return note(f"{words.counted(event.messages, 'old result')} left out to make room{full}")
        case events.Checkpoint():
            return Said("checkpoint", named(event.paths), sign="checkpoint", right=event.tree[:7])
        case events.Note():
            return note(event.text)
        case events.Warning():
            return warning(event.text)
        case events.Retried():
            return warning(f"again: {event.reason}")
        case _:
            return _of_session(event)


def _of_session(event: Event) -> Said | None:
    match event:
        case events.Restarted():
            return warning(f"begun anew: {event.reason}" if event.reason else "begun anew")
        case events.ModeChanged():
            return note(f"mode: {event.mode}")
        case events.ThinkingChanged():
            return note(f"thinking: {event.level}")
        case events.Undone():
            return note(f"{'done again' if event.again else 'undone'}: {named(event.paths)}")
        case events.Applied():
            return Said("applied", f"your files were changed: {named(event.paths)}", style="ok", sign="ok")
        case events.CandidateStarted():
            return note(f"{event.name} of {event.of} begins")
        case events.CandidateChosen():
            return Said("chosen", f"{event.name} is chosen: {event.why}", style="ok", sign="ok")
        case events.FindingResolved():
            return note(f"finding {event.finding}: {'accepted' if event.accepted else 'dismissed'}")
        case events.Renamed():
            return note(f"this session is now called {event.title}")
        case events.Forked():
            return note(f"all before this was copied from {event.origin}")
        case _:
            return None


def approval(asked: events.ApprovalRequested | None, event: events.ApprovalResolved) -> Said:
    """What was asked, and the answer."""
    answer = _ANSWERS.get(event.answer, event.answer)
    told = f"{answer}: {asked.tool} {asked.what}" if asked else answer
    if event.text:
        told += f" ({event.text})"
    refused = event.answer in ("no", "interrupted")
    return Said("approval", told, style="warning" if refused else "dim", sign="failed" if refused else "ok")


def rewound(event: events.Rewound) -> Said:
    return note(f"back before message {event.index + 1}; files changed by that: {named(event.paths)}")


def note(text: str) -> Said:
    return Said("note", text, sign="note")


def warning(text: str) -> Said:
    return Said("warning", text, style="warning", sign="warning")


def named(paths: Sequence[str]) -> str:
    """Some of `paths`, and how many more there are."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more if paths else "none"
