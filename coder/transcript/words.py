"""The words of every face for what things cost and how they ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coder import events
from coder.transcript.safe import first_line

OUTCOME = {
    "solved": "Solved",
    "answered": "Answered",
    "planned": "Planned",
    "unverified": "Done, to be judged elsewhere",
    "unsolved": "Not solved",
    "limit": "Stopped at a limit",
    "model": "The model server failed",
    "sandbox": "No sandbox",
    "usage": "Cannot start",
    "interrupted": "Interrupted",
}

_TELLING = ("command", "path", "pattern", "query", "file", "summary", "text")
"""Arguments that say what a call is about, the best first."""


def described_model(event: events.Prepared) -> str:
    """The model of a run, and how it is used."""
    facts = [event.server, f"profile {event.profile}", event.strategy, f"thinking {event.thinking}"]
    if event.context_length:
        facts.append(f"context {event.context_length} tokens")
    return f"{event.model} ({', '.join(facts)})"


def counts(event: events.AssistantMessage) -> str:
    """What the answer cost: the prompt and how much of it was cached, the answer and how much of it was thought."""
    spent = event.spent
    cached = f" ({share_cached(spent)} cached)" if spent.cached_tokens else ""
    told = f"{spent.prompt_tokens}{cached} → {spent.completion_tokens} tokens"
    if spent.thinking_tokens or event.allowed:
        told += f", thought {thinking(event)}"
    return f"{told}, {event.seconds:.1f} s"


def thinking(event: events.AssistantMessage) -> str:
    """The tokens that were thought, those that were allowed, and whether the thought was ended at them."""
    allowed = f" of {event.allowed}" if event.allowed else ""
    return f"{event.spent.thinking_tokens}{allowed}{', cut' if event.spent.thinking_cuts else ''}"


def share_cached(spent: events.Spent) -> str:
    return f"{100 * spent.cached_tokens // max(1, spent.prompt_tokens)} %"


def candidate(event: events.CandidateFinished) -> str:
    """What came of a candidate."""
    parts = [f"{event.name} {event.outcome}"]
    if event.files:
        parts.append(f"{counted(event.files, 'file')} +{event.added} -{event.removed}")
    if event.tests:
        parts.append(f"{event.votes} of {counted(event.tests, 'vote')}")
    return ", ".join(parts)


def verdict(event: events.Verdict) -> str:
    """The outcome of a review."""
    outcome = "approved" if event.verdict == "APPROVE" else "changes requested"
    if event.overruled:
        outcome += ", but nothing backs that: overruled"
    told = f" ({counted(len(event.findings), 'finding')})" if event.findings else ""
    return f"review {event.round}: {outcome}{told}"


def finding(found: events.Finding) -> str:
    """A finding in one line: where, how bad, what, and whether anything backs it."""
    place = f"{found.file}:{found.line}" if found.line else found.file
    backed = "" if found.backed else ", not backed"
    agreed = f", {found.agreed} of {found.samples}" if found.samples > 1 else ""
    return f"{place} {found.severity}: {found.reason} ({found.id}{agreed}{backed})"


def costs(finished: events.RunFinished) -> list[str]:
    """What a run spent, beside what was allowed."""
    spent = finished.spent
    if not spent.requests:
        return []
    cached = f", {share_cached(spent)} of them cached" if spent.cached_tokens else ""
    lines = [
        f"tokens: {spent.prompt_tokens} read{cached}, {spent.completion_tokens} written in {spent.turns} turns"
    ]
    if finished.thinking:
        allowed = ", ".join(f"{level} for {step}" for step, level in finished.thinking.items())
        cut = f", {spent.thinking_cuts} cut" if spent.thinking_cuts else ""
        lines.append(f"thinking: {spent.thinking_tokens} tokens (allowed: {allowed}{cut})")
    return lines


def evidence(finished: events.RunFinished) -> list[str]:
    """What the tests said, and what of the change will run on the user's machine."""
    lines = []
    for label, key in (("before", "tests_before"), ("after", "tests_after")):
        counted = finished.evidence.get(key)
        if isinstance(counted, Mapping):
            lines.append(
                f"tests {label}: {counted.get('passed', 0)} passed, {counted.get('failed', 0)} failed"
            )
    lines += [f"runs later on your machine: {path}" for path in finished.evidence.get("flagged") or ()]
    return lines + [f"network: {_reached(attempt)}" for attempt in finished.evidence.get("network") or ()]


def _reached(attempt: Mapping[str, Any]) -> str:
    where = f"{attempt['host']}:{attempt['port']}" if attempt["host"] else "requests"
    outcome = f"{attempt['bytes']} bytes" if attempt["allowed"] else "refused"
    why = f" ({attempt['why']})" if attempt["why"] else ""
    return f"{where}, {attempt['count']} times, {outcome}{why}"


def attempted(event: events.NetworkAttempt) -> str:
    """What a command tried to reach, and what came of it."""
    where = f"{event.host}:{event.port}" if event.host else "a request"
    outcome = "allowed" if event.allowed and not event.why else "failed" if event.allowed else "refused"
    return f"{where} {outcome}{f': {event.why}' if event.why else ''}"


def not_enforced(event: events.Guaranteed) -> str:
    """What the sandbox does not promise here; empty where all is enforced."""
    missing = [
        f"{promise.name} ({promise.seen or promise.how})"
        for promise in event.promises
        if not promise.enforced
    ]
    if missing and len(missing) == len(event.promises):
        return f"nothing is enforced: {event.promises[0].how}"
    return f"not enforced: {', '.join(missing)}" if missing else ""


def about(arguments: Mapping[str, Any]) -> str:
    """One line on what a call is about."""
    named = [arguments[name] for name in _TELLING if isinstance(arguments.get(name), str)]
    command = [arguments["command"]] if named and "path" in arguments and "command" in arguments else []
    if command and isinstance(command[0], str) and isinstance(arguments["path"], str):
        return first_line(f"{command[0]} {arguments['path']}")
    others = [str(value) for value in arguments.values() if isinstance(value, str | int)]
    return first_line(str(named[0]) if named else " ".join(others))


def duration(seconds: float) -> str:
    """Seconds in words that stay short."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
