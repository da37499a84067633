"""The vocabulary survives the wire, and a broken face does not end a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from coder import events
from coder.agent.memory import Memory
from coder.events import Event, Stream, decode, encode
from coder.journal import FILE, Journal, fold, load

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
SPENT = st.builds(events.Spent, st.integers(0, 9), st.integers(0, 10**6), st.integers(0, 10**6))
CALL = st.builds(
    events.Call, TEXT, TEXT, st.dictionaries(TEXT, TEXT | st.integers(-(2**53), 2**53), max_size=3)
)
EVENTS = st.one_of(
    st.builds(events.RunStarted, task=TEXT, workflow=TEXT, repository=TEXT),
    st.builds(events.Prepared, model=TEXT, server=TEXT),
    st.builds(
        events.Guaranteed,
        sandbox=TEXT,
        promises=st.lists(
            st.builds(events.Promise, name=TEXT, enforced=st.booleans(), seen=TEXT), max_size=3
        ).map(tuple),
    ),
    st.builds(
        events.Prepared, sandbox=TEXT, why=TEXT, guarantees=st.dictionaries(TEXT, st.booleans(), max_size=3)
    ),
    st.builds(events.TurnStarted, turn=st.integers(1, 999)),
    st.builds(events.TextDelta, text=TEXT),
    st.builds(events.ThinkingDelta, text=TEXT),
    st.builds(events.ToolOutput, call=TEXT, text=TEXT),
    st.builds(events.AssistantMessage, text=TEXT, calls=st.tuples(CALL), spent=SPENT),
    st.builds(events.ToolFinished, call=TEXT, name=TEXT, text=TEXT, exit=st.none() | st.integers(0, 255)),
    st.builds(events.PlanUpdated, steps=st.tuples(st.tuples(TEXT, st.booleans()))),
    st.builds(events.GateFinished, name=TEXT, passed=st.booleans()),
    st.builds(events.Warning, text=TEXT),
    st.builds(events.NetworkAttempt, host=TEXT, port=st.integers(0, 65535), allowed=st.booleans(), why=TEXT),
    st.builds(events.ConversationStarted, system=TEXT),
    st.builds(events.UserMessage, text=TEXT, typed=TEXT, tree=TEXT, steer=st.booleans()),
    st.builds(events.Told, text=TEXT, call=TEXT),
    st.builds(events.Restarted, messages=st.integers(0, 9), reason=TEXT),
    st.builds(events.Queued, steer=st.tuples(TEXT), held=st.tuples(TEXT, TEXT)),
    st.builds(events.ModeChanged, mode=st.sampled_from(["plan", "ask", "edits", "auto"])),
    st.builds(events.ThinkingChanged, level=TEXT),
    st.builds(events.ApprovalRequested, id=TEXT, call=TEXT, tool=TEXT, what=TEXT, diff=TEXT),
    st.builds(events.ApprovalResolved, id=TEXT, answer=TEXT, text=TEXT),
    st.builds(events.PlanProposed, text=TEXT, steps=st.tuples(TEXT)),
    st.builds(events.Rewound, index=st.integers(0, 9), messages=st.integers(0, 9), tree=TEXT),
    st.builds(events.Undone, tree=TEXT, paths=st.tuples(TEXT), again=st.booleans()),
    st.builds(events.Applied, tree=TEXT, paths=st.tuples(TEXT)),
    st.builds(events.Renamed, title=TEXT),
    st.builds(events.Forked, origin=TEXT),
    st.builds(
        events.RunFinished, status=TEXT, reason=TEXT, sentence=TEXT, exit=st.integers(0, 255), spent=SPENT
    ),
)


async def collected(stream_of: list[Event], *sinks: Any) -> list[Event]:
    seen: list[Event] = []
    stream = Stream("run", seen.append, *sinks)
    emit = stream.span("task")
    for event in stream_of:
        await emit(event)
    return seen


@given(EVENTS)
def test_every_event_survives_the_wire(event: Event) -> None:
    assert decode(encode(event)) == event


@given(st.lists(EVENTS, max_size=12))
def test_a_live_stream_and_its_journal_fold_alike(tmp_path_factory: Any, stream_of: list[Event]) -> None:
    import asyncio

    journal = Journal(tmp_path_factory.mktemp("journal") / FILE)
    live = asyncio.run(collected(stream_of, journal))
    journal.close()
    assert fold(live) == fold(load(journal.path))
    assert memory(live) == memory(load(journal.path))


def memory(stream_of: Iterable[Event]) -> Memory:
    """The conversation that a stream amounts to, whatever its order."""
    remembered = Memory()
    for event in stream_of:
        remembered.advance(event)
    return remembered


def test_a_journal_from_before_sessions_still_loads() -> None:
    old = b'{"type":"UserMessage","text":"mend it","v":1,"seq":2,"t":1.0,"run":"r","span":"task"}'
    assert decode(old) == events.UserMessage(text="mend it", seq=2, t=1.0, run="r", span="task")


def test_the_wire_form_is_one_flat_object() -> None:
    line = encode(events.TurnStarted(turn=3, seq=7, run="r", span="task"))
    assert msgspec.json.decode(line) == {
        "type": "TurnStarted",
        "turn": 3,
        "seq": 7,
        "run": "r",
        "span": "task",
    }


def test_a_file_name_that_is_no_unicode_is_encoded_all_the_same() -> None:
    assert "caf?" in decode(encode(events.Note(text="caf\udce9"))).text  # type: ignore[attr-defined]


async def test_events_are_stamped_in_order_and_carry_their_span() -> None:
    seen = await collected([events.Note(text="a"), events.Note(text="b")])
    assert [event.seq for event in seen] == [1, 2]
    assert {(event.run, event.span) for event in seen} == {("run", "task")}
    assert seen[0].t > 0


async def test_a_sink_that_raises_is_dropped_with_a_warning_and_the_others_go_on() -> None:
    def broken(event: Event) -> None:
        raise OSError("no space left")

    seen = await collected([events.Note(text="a"), events.Note(text="b")], broken)
    assert [type(event).__name__ for event in seen] == ["Note", "Warning", "Note"]
    assert "no space left" in seen[1].text  # type: ignore[attr-defined]


async def test_a_sink_may_be_a_coroutine() -> None:
    got: list[Event] = []

    async def sink(event: Event) -> None:
        got.append(event)

    await collected([events.Note(text="a")], sink)
    assert len(got) == 1
