"""The headless face: progress on standard error, the result alone on standard output (text, json or jsonl)."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from coder import __version__, events
from coder.events import Event, RunFinished
from coder.transcript import words
from sandbox.text import clean_text


class Progress:
    """A sink that tells a person what happens: one line an event, and on a terminal a live last line."""

    def __init__(self, stream: TextIO, *, verbose: bool = False, plain: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._live = _Live() if stream.isatty() and not plain else None

    def __call__(self, event: Event) -> None:
        if self._live is not None:
            self._live.update(event)
        line = clean_text(describe(event, verbose=self._verbose))
        if line and self._live is not None:
            self._live.line(line, event)
        elif line:
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Take the live line away, for good or to ask something."""
        if self._live is not None:
            self._live.close()


class _Live:
    """The terminal's live line: what is going on now, and for how long."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, markup=False)
        self._status = self._console.status("", spinner_style="cyan")
        self._activity = "starting"
        self._began = time.monotonic()
        self._characters = 0

    def update(self, event: Event) -> None:
        match event:
            case events.TurnStarted():
                self._characters = 0
                self._begin(f"turn {event.turn}: the model reads")
            case events.ThinkingDelta() | events.TextDelta():
                self._characters += len(event.text)
                does = "thinks" if isinstance(event, events.ThinkingDelta) else "writes"
                self._activity = f"the model {does}, {self._characters} characters"
            case events.ToolStarted():
                self._begin(f"{event.name} {_brief(event.arguments)}")
            case events.Activity():
                self._begin(event.text)
            case events.ServerLoad():
                self._activity = f"the server works: {event.running} requests run, {event.waiting} wait"
            case events.RunFinished():
                return self.close()
            case _:
                pass
        return self._show()

    def line(self, text: str, event: Event) -> None:
        self._console.print(text, style=_style(event), soft_wrap=True)

    def close(self) -> None:
        self._status.stop()

    def _begin(self, activity: str) -> None:
        self._activity = activity
        self._began = time.monotonic()

    def _show(self) -> None:
        self._status.update(_LiveText(self))
        self._status.start()

    def text(self) -> str:
        width = max(20, self._console.width - 12)
        return f"{clean_text(self._activity)[:width]}  {time.monotonic() - self._began:.0f} s"


class _LiveText:
    """Rendered anew at each refresh, so that the seconds go on while nothing happens."""

    def __init__(self, live: _Live) -> None:
        self._live = live

    def __rich__(self) -> str:
        from rich.markup import escape

        return escape(self._live.text())


def describe(event: Event, *, verbose: bool = False) -> str:
    """One line for people about `event`; empty when there is nothing to say. Not yet safe for a terminal."""
    match event:
        case events.RunStarted():
            return f"{event.workflow}: {event.task.splitlines()[0] if event.task else ''}"
        case events.Prepared(sandbox=""):
            return f"  model    {words.described_model(event)}"
        case events.Prepared():
            return f"  sandbox  {event.sandbox}: {event.why}"
        case events.Guaranteed():
            return _described_promises(event)
        case events.SuiteRan():
            return f"  tests    {event.stage}: {event.passed} passed, {event.failed} failed ({event.seconds:.1f} s)"
        case events.AssistantMessage():
            return _described_answer(event, verbose)
        case events.ToolStarted():
            return f"  {event.name:<8} {_brief(event.arguments)}"
        case events.ToolFinished():
            return _described_tool(event, verbose)
        case events.GateFinished():
            sign = ("✓" if event.passed else "✗") if event.applicable else "-"
            return f"  {sign} {event.name}: {event.detail}"
        case events.Masked():
            full = f" ({event.tokens} tokens of {event.limit})" if event.limit else ""
            return f"  context  {event.messages} old results were left out to make room{full}"
        case events.Note():
            return f"  {event.text}"
        case events.Warning():
            return f"  warning  {event.text}"
        case events.NetworkAttempt():
            return _described_attempt(event)
        case events.Retried():
            return f"  retry    {event.reason}"
        case _:
            return _described_part(event)


def _described_part(event: Event) -> str:
    """Candidates and the reviewer."""
    match event:
        case events.CandidateStarted():
            return f"  {event.name} of {event.of} begins"
        case events.CandidateFinished():
            return f"  {'✓' if event.outcome == 'passed' else '✗'} {words.candidate(event)}"
        case events.CandidateChosen():
            return f"  ✓ {event.name} is chosen: {event.why}"
        case events.Verdict():
            return "\n".join(
                [f"  {words.verdict(event)}", *(f"    {words.finding(f)}" for f in event.findings)]
            )
        case _:
            return ""


def _described_attempt(event: events.NetworkAttempt) -> str:
    return f"  network  {words.attempted(event)}"


def _described_promises(event: events.Guaranteed) -> str:
    """Nothing to say where all is enforced."""
    missing = words.not_enforced(event)
    return f"  sandbox  {missing}" if missing else ""


def _described_answer(event: events.AssistantMessage, verbose: bool) -> str:
    text = " ".join(event.text.split())
    counts = words.counts(event)
    if verbose and event.text:
        return f"{event.text}\n  model    {counts}"
    return f"  model    {text[:100]}{'…' if len(text) > 100 else ''} ({counts})"


def _described_tool(event: events.ToolFinished, verbose: bool) -> str:
    mark = "✓" if event.ok else "✗"
    if verbose:
        return f"           {mark} {event.seconds:.1f} s\n{event.diff or event.text}"
    first = (event.text.strip().splitlines() or [""])[0]
    return f"           {mark} {first[:90]} ({event.seconds:.1f} s)"


def _brief(arguments: dict[str, Any]) -> str:
    values = [str(value) for value in arguments.values() if isinstance(value, str | int)]
    return " ".join(" ".join(values).split())[:120]


def _style(event: Event) -> str:
    match event:
        case events.GateFinished(passed=False) | events.ToolFinished(ok=False):
            return "red"
        case events.GateFinished(applicable=True):
            return "green"
        case events.Warning() | events.Retried() | events.Guaranteed() | events.NetworkAttempt(allowed=False):
            return "yellow"
        case events.RunStarted():
            return "bold"
        case _:
            return "dim"


def as_object(finished: RunFinished, journal: Path) -> dict[str, Any]:
    """The one object of `--output-format json`."""
    spent = finished.spent
    return {
        "version": __version__,
        "run": finished.run,
        "status": finished.status,
        "reason": finished.reason,
        "sentence": finished.sentence,
        "patch": finished.patch,
        "summary": finished.summary,
        "evidence": finished.evidence,
        "usage": {name: getattr(spent, name) for name in spent.__struct_fields__ if name != "thinking_cuts"},
        "thinking": {
            "spent": spent.thinking_tokens,
            "allowed": finished.thinking,
            "cuts": spent.thinking_cuts,
        },
        "timings": finished.timings,
        "journal": str(journal),
    }


def as_text(finished: RunFinished, patch: Path | None) -> str:
    """The result for people: how it ended, what the tests said, the diff, and where it is kept."""
    lines = [f"{words.OUTCOME[finished.status]}: {finished.sentence.rstrip('.')}."]
    if finished.summary:
        lines.append(finished.summary)
    lines += [f"  {told}" for told in words.evidence(finished)]
    if finished.patch:
        lines += ["", finished.patch.rstrip("\n"), ""]
        lines.append(f"  patch: {patch}" if patch else "")
    lines += [f"  {told}" for told in words.costs(finished)]
    lines.append(f"  time: {finished.timings.get('seconds', 0.0):.1f} s")
    return clean_text("\n".join(lines)) + "\n"


def write_result(text: str) -> None:
    """Put the result on standard output; a reader that is gone is no error of ours."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()


def as_json(finished: RunFinished, journal: Path) -> str:
    return json.dumps(as_object(finished, journal), ensure_ascii=False) + "\n"
