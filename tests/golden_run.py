"""What must hold of every journal that a run leaves: it tells the same as the run did while it went on.

The pieces that stream are in no journal, so they are put back here in front of each answer, as they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from coder import events
from coder.events import Event
from coder.journal import load
from coder.transcript.line import FLOWING, Look
from coder.transcript.model import TranscriptModel
from coder.tui.parts import Parts

LOOKS = [(60, Look()), (100, Look()), (FLOWING, Look(whole=True))]


def check(journal: Path, live: Sequence[Event] = ()) -> None:
    """Raises AssertionError. `live` is what a listener heard; without one, what it must have heard is made up here.
    A journal without an event is none to check: a run may end before it has one."""
    kept = list(load(journal)) if journal.is_file() else []
    if not kept:
        return
    assert [event.seq for event in kept] == sorted({event.seq for event in kept})
    assert live or isinstance(kept[-1], events.RunFinished)
    assert list(map(events.decode, map(events.encode, kept))) == kept
    live = live or list(streamed(kept))
    resumed, seen = TranscriptModel().fold(kept), TranscriptModel().fold(live)
    for width, look in LOOKS:
        assert seen.lines(width, look) == resumed.lines(width, look)
    assert parts(live) == parts(kept)


def streamed(kept: list[Event]) -> Iterator[Event]:
    """The events with the pieces of each answer and of each tool's output in front of it."""
    for event in kept:
        if isinstance(event, events.AssistantMessage):
            yield from pieces(event.thinking, events.ThinkingDelta(text="", span=event.span))
            yield from pieces(event.text, events.TextDelta(text="", span=event.span))
        elif isinstance(event, events.ToolFinished):
            yield from pieces(event.text, events.ToolOutput(call=event.call, text="", span=event.span))
        yield event


def pieces(text: str, like: Event) -> Iterator[Event]:
    for start in range(0, min(len(text), 4000), 7):
        yield msgspec.structs.replace(like, text=text[start : start + 7])


def parts(stream: Sequence[Event]) -> dict[str, list[object]]:
    folded = Parts()
    for event in stream:
        folded.take(event)
    return {name: list(folded.model(name).lines(80, Look())) for name in folded.names}
