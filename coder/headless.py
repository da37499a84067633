"""The headless face: progress on standard error, the result alone on standard output (text, json or jsonl)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TextIO

from coder import __version__, events
from coder.events import Event, RunFinished
from sandbox.text import clean_text

OUTCOME = {
    "solved": "Solved",
    "unsolved": "Not solved",
    "limit": "Stopped at a limit",
    "model": "The model server failed",
    "sandbox": "No sandbox",
    "usage": "Cannot start",
    "interrupted": "Interrupted",
}


class Progress:
    """A sink that tells a person what happens: one line an event, and on a terminal a live last line."""

    def __init__(self, stream: TextIO, *, verbose: bool = False, plain: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._live = _Live() if stream.isatty() and not plain else None

    def __call__(self, event: Event) -> None:
        if self._live is not None:
            self._live.update(event)
        line = describe(event, verbose=self._verbose)
        if not line:
            return
        line = clean_text(line)
        if self._live is not None:
            self._live.line(line, event)
        else:
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.close()


class _Live:
    """The terminal's live line: what is going on now, and for how long."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, markup=False)
        self._status = self._console.status("starting", spinner_style="cyan")
        self._status.start()
        self._characters = 0

    def update(self, event: Event) -> None:
        match event:
            case events.TurnStarted():
                self._characters = 0
                self._show(f"turn {event.turn}: the model reads")
            case events.ThinkingDelta() | events.TextDelta():
                self._characters += len(event.text)
                what = "thinks" if isinstance(event, events.ThinkingDelta) else "writes"
                self._show(f"the model {what}, {self._characters} characters")
            case events.ToolStarted():
                self._show(f"{event.name} {_brief(event.arguments)}")
            case events.ToolFinished():
                self._show("working")
            case events.RunFinished():
                self.close()
            case _:
                pass

    def line(self, text: str, event: Event) -> None:
        self._console.print(text, style=_style(event), soft_wrap=True)

    def close(self) -> None:
        self._status.stop()

    def _show(self, text: str) -> None:
        from rich.text import Text

        self._status.update(Text(clean_text(text)[: max(20, self._console.width - 4)]))


def describe(event: Event, *, verbose: bool = False) -> str:
    """One line for people about `event`; empty when there is nothing to say. Not yet safe for a terminal."""
    match event:
        case events.RunStarted():
            return f"{event.workflow}: {event.task.splitlines()[0] if event.task else ''}"
        case events.Prepared(sandbox=""):
            return f"  model    {event.model} ({event.server}; profile {event.profile}, {event.strategy})"
        case events.Prepared():
            return f"  sandbox  {event.sandbox}: {event.why}"
        case events.SuiteRan():
            return f"  tests    {event.stage}: {event.passed} passed, {event.failed} failed ({event.seconds:.1f} s)"
        case events.AssistantMessage():
            return _described_answer(event, verbose)
        case events.ToolFinished():
            return _described_tool(event, verbose)
        case events.GateFinished():
            return f"  {'✓' if event.passed else '✗'} {event.name}: {event.detail}"
        case events.Masked():
            return f"  context  {event.messages} old results were left out to make room"
        case events.Note():
            return f"  {event.text}"
        case events.Warning():
            return f"  warning  {event.text}"
        case events.Retried():
            return f"  retry    {event.reason}"
        case _:
            return ""


def _described_answer(event: events.AssistantMessage, verbose: bool) -> str:
    spent = event.spent
    text = " ".join(event.text.split())
    counts = f"{spent.prompt_tokens} → {spent.completion_tokens} tokens, {event.seconds:.1f} s"
    if verbose and event.text:
        return f"{event.text}\n  model    {counts}"
    return f"  model    {text[:100]}{'…' if len(text) > 100 else ''} ({counts})"


def _described_tool(event: events.ToolFinished, verbose: bool) -> str:
    mark = "✓" if event.ok else "✗"
    if verbose:
        return f"  {mark} {event.name} ({event.seconds:.1f} s)\n{event.diff or event.text}"
    return (
        f"  {mark} {event.name}: {(event.text.strip().splitlines() or [''])[0][:100]} ({event.seconds:.1f} s)"
    )


def _brief(arguments: dict[str, Any]) -> str:
    values = [str(value) for value in arguments.values() if isinstance(value, str | int)]
    return " ".join(" ".join(values).split())[:120]


def _style(event: Event) -> str:
    match event:
        case events.GateFinished(passed=False) | events.ToolFinished(ok=False):
            return "red"
        case events.GateFinished():
            return "green"
        case events.Warning() | events.Retried():
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
        "usage": {name: getattr(spent, name) for name in spent.__struct_fields__},
        "timings": finished.timings,
        "journal": str(journal),
    }


def as_text(finished: RunFinished, patch: Path | None) -> str:
    """The result for people: how it ended, what the tests said, the diff, and where it is kept."""
    lines = [f"{OUTCOME[finished.status]}: {finished.sentence}."]
    if finished.summary:
        lines.append(finished.summary)
    for label, key in (("before", "tests_before"), ("after", "tests_after")):
        counts = finished.evidence.get(key)
        if counts:
            lines.append(f"  tests {label}: {counts['passed']} passed, {counts['failed']} failed")
    lines += [f"  runs later on your machine: {path}" for path in finished.evidence.get("flagged", ())]
    if finished.patch:
        lines += ["", finished.patch.rstrip("\n"), ""]
        lines.append(f"  patch: {patch}" if patch else "")
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
