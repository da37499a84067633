"""The parts of a run that stand beside its main line: candidates and the reviewer, each with a transcript of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import unified_diff

from coder import events
from coder.events import Event
from coder.transcript import diff
from coder.transcript.model import MAIN, UNNAMED, TranscriptModel

RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Part:
    """`outcome` is a candidate's, `running` until it has one; `patch` what it changed."""

    name: str
    outcome: str = RUNNING
    chosen: bool = False
    patch: str = ""


@dataclass(slots=True)
class Parts:
    """Folds a stream into one transcript a part. `known` are the parts beside the main line, in their order."""

    main: TranscriptModel = field(default_factory=TranscriptModel)
    known: dict[str, Part] = field(default_factory=dict)
    models: dict[str, TranscriptModel] = field(default_factory=dict)
    verdict: events.Verdict | None = None
    """The last review."""
    resolved: dict[str, bool] = field(default_factory=dict)
    """What the user said of its findings: accepted or not."""

    def take(self, event: Event) -> str:
        """Fold one event in; the name of the part that it belongs to."""
        name = MAIN if event.span in UNNAMED else event.span
        if name != MAIN:
            self._open(name)
        self._note(event)
        self.model(name).take(event)
        return name

    def model(self, name: str) -> TranscriptModel:
        return self.main if name == MAIN else self.models[name]

    @property
    def names(self) -> list[str]:
        return [MAIN, *self.known]

    def _open(self, name: str) -> None:
        if name not in self.known:
            self.known[name] = Part(name)
            self.models[name] = TranscriptModel()

    def _note(self, event: Event) -> None:
        match event:
            case events.CandidateStarted():
                self._open(event.name)
            case events.CandidateFinished():
                self._open(event.name)
                self.known[event.name] = replace(
                    self.known[event.name], outcome=event.outcome, patch=event.patch
                )
            case events.CandidateChosen():
                self._open(event.name)
                self.known[event.name] = replace(self.known[event.name], chosen=True)
            case events.Verdict():
                self.verdict, self.resolved = event, {}
            case events.FindingResolved():
                self.resolved[event.finding] = event.accepted
            case events.Rewound():
                self.verdict = None
            case _:
                pass


def compare(one: Part, other: Part) -> str:
    """A diff from what `one` made of the changed places to what `other` made of them, a file after the other."""
    before, after = _results(one.patch), _results(other.patch)
    found: list[str] = []
    for path in sorted({*before, *after}):
        found += unified_diff(
            before.get(path, []),
            after.get(path, []),
            f"{one.name}/{path}",
            f"{other.name}/{path}",
            lineterm="",
        )
    return "\n".join(found)


def _results(patch: str) -> dict[str, list[str]]:
    """The changed places of each file as they are after the patch."""
    found: dict[str, list[str]] = {}
    path = ""
    for row in diff.parse(patch):
        if row.sign == "f":
            path = row.text
        elif row.sign in " +":
            found.setdefault(path, []).append(row.text)
        elif row.sign == "-":
            found.setdefault(path, [])
    return found


def hunk_at(patch: str, file: str, line: int) -> str:
    """The part of a patch that holds a line of a file as it is afterwards; all of the file's, where none does."""
    lines = patch.splitlines()
    headers: list[str] = []
    hunks: list[list[str]] = []
    inside, former = False, ""
    for text in lines:
        if text.startswith("--- "):
            inside, former = False, text
        elif text.startswith("+++ "):
            inside = text[4:].split("\t")[0].removeprefix("b/") == file
            headers = [former, text] if inside else headers
        elif inside and text.startswith("@@ "):
            hunks.append([text])
        elif inside and hunks and text[:1] in " +-\\":
            hunks[-1].append(text)
        elif text.startswith("diff --git "):
            inside = False
    held = [hunk for hunk in hunks if _holds(hunk[0], line)]
    chosen = held or hunks
    return "\n".join([*headers, *(text for hunk in chosen for text in hunk)]) if chosen else ""


def _holds(header: str, line: int) -> bool:
    rows = diff.parse(header)
    if not rows or rows[0].sign != "@":
        return False
    start, _, count = header.split("+", 1)[1].split(" ", 1)[0].partition(",")
    first, length = int(start), int(count or "1")
    return first <= line < first + max(1, length)
