"""A run and its journal look alike, whatever came when; and nothing hostile reaches a line."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder import events
from coder.events import LOSSY, Event, decode, encode
from coder.transcript.line import ASCII, UNICODE, WORDS, Line, Look, cells, plain, width_of
from coder.transcript.model import TranscriptModel
from tests.transcript.story import DIFF, EVENTS, MARKDOWN, STORY

GOLDEN = Path(__file__).parent / "golden"
LOOKS = {
    "60": (60, Look()),
    "80": (80, Look()),
    "120": (120, Look()),
    "150-open": (150, Look(whole=True)),
    "80-ascii": (80, Look(glyphs=ASCII)),
    "80-words": (80, Look(glyphs=WORDS)),
}
WIDTHS = st.integers(1, 160)
STYLES = st.sampled_from([Look(), Look(glyphs=ASCII), Look(glyphs=WORDS), Look(whole=True), Look(split=60)])


def drawn(model: TranscriptModel, width: int = 80, look: Look | None = None) -> str:
    return "\n".join(plain(line).rstrip() for line in model.lines(width, look or Look())) + "\n"


@pytest.mark.parametrize("name", LOOKS)
def test_every_kind_of_block_is_drawn_as_agreed(name: str) -> None:
    """WRITE_GOLDEN=1 writes the lines anew, to be looked at before they are committed."""
    shown = drawn(TranscriptModel().fold(STORY), *LOOKS[name])
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()


@pytest.mark.parametrize("name", LOOKS)
def test_the_story_fits_its_width(name: str) -> None:
    width, look = LOOKS[name]
    assert all(width_of(line) <= width for line in TranscriptModel().fold(STORY).lines(width, look))


def test_ascii_means_ascii() -> None:
    assert drawn(TranscriptModel().fold(STORY), 80, Look(glyphs=ASCII)).isascii()


def journalled(stream: list[Event]) -> list[Event]:
    """`stream` as it comes back from its journal."""
    return [decode(encode(event)) for event in stream if not isinstance(event, LOSSY)]


def unharmed(text: str) -> str:
    """As a journal writes it: what UTF-8 cannot hold is replaced."""
    return text.encode("utf-8", "replace").decode()


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=14), WIDTHS, STYLES)
def test_a_live_run_and_its_journal_look_alike(stream: list[Event], width: int, look: Look) -> None:
    live = TranscriptModel()
    for event in stream:
        live.take(decode(encode(event)))
        live.lines(width, look)  # somebody watches, so everything is drawn while it is incomplete too
    after = TranscriptModel().fold(journalled(stream))
    end = events.RunFinished(status="interrupted", reason="", sentence="", exit=130)
    live.take(end)
    after.take(end)
    assert live.lines(width, look) == after.lines(width, look)
    assert [block.source for block in live.blocks] == [block.source for block in after.blocks]


@settings(max_examples=200, deadline=None)
@given(st.lists(EVENTS, max_size=10), WIDTHS, STYLES)
def test_no_line_steers_a_terminal_or_is_too_wide(stream: list[Event], width: int, look: Look) -> None:
    model = TranscriptModel()
    for event in stream:
        model.take(event)
    for line in model.lines(width, look):
        assert_harmless(line)
        assert width_of(line) <= max(width, 10)


def assert_harmless(line: Line) -> None:
    text = plain(line)
    for character in text:
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"), ascii(text)
    assert not set(text) & set(
        "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
    )
    assert not any(0xE0000 <= ord(character) < 0xE1000 for character in text)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=2000), WIDTHS)
def test_any_bytes_may_come_out_of_a_tool(output: bytes, width: int) -> None:
    model = TranscriptModel()
    text = output.decode("utf-8", "surrogateescape")
    model.take(events.ToolStarted(call="1", name="bash", arguments={"command": text}))
    for begin in range(0, len(text), 100):
        model.take(events.ToolOutput(call="1", text=text[begin : begin + 100]))
        model.lines(width, Look())
    model.take(events.ToolFinished(call="1", name="bash", text=text, ok=False))
    for line in model.lines(width, Look(whole=True)):
        assert_harmless(line)


@pytest.mark.parametrize(
    "text", ["x" * 10_000_000, "中" * 3_000_000, "a\u0301" * 3_000_000, "\n" * 10_000_000]
)
def test_ten_megabytes_are_cut_and_the_cut_shows(text: str) -> None:
    model = TranscriptModel()
    model.take(events.ToolFinished(call="1", name="bash", text=text, ok=False))
    model.take(events.AssistantMessage(text=text or "x", thinking=text))
    lines = model.lines(80, Look(whole=True))
    assert len(lines) < 8_000
    assert model.blocks[0].source == text


def test_what_streams_stands_behind_what_is_complete() -> None:
    model = TranscriptModel().fold([events.TextDelta(text="I wri"), events.Note(text="meanwhile")])
    assert [block.kind for block in model.blocks] == ["note", "text"]


def test_an_answer_that_streamed_is_the_answer_that_came() -> None:
    model = TranscriptModel()
    for begin in range(0, len(MARKDOWN), 7):
        model.take(events.TextDelta(text=MARKDOWN[begin : begin + 7]))
        drawn(model)
    streamed = model.streaming[0]
    model.take(events.AssistantMessage(text=MARKDOWN))
    assert model.blocks == [streamed]
    assert streamed.source == MARKDOWN
    assert drawn(model) == drawn(TranscriptModel().fold([events.AssistantMessage(text=MARKDOWN)]))


def test_an_opened_thought_stays_open_when_the_answer_is_complete() -> None:
    model = TranscriptModel().fold([events.ThinkingDelta(text="hm")])
    model.streaming[0].toggle()
    model.take(events.AssistantMessage(text="", thinking="hm, so"))
    assert "hm, so" in drawn(model)


def test_going_back_takes_away_a_task_from_its_title_on() -> None:
    task = [
        events.RunStarted(task="one", workflow="run", repository="/r"),
        events.UserMessage(text="one"),
        events.UserMessage(text="and", steer=True),
        events.Note(text="x"),
    ]
    model = TranscriptModel().fold([*task, *task, events.Rewound(index=1, messages=3, text="one")])
    assert [block.kind for block in model.blocks] == ["title", "user", "user", "note", "note"]
    assert model.cuts == 1


def test_the_last_lines_are_the_end_of_all_lines() -> None:
    model = TranscriptModel().fold(STORY)
    whole = model.lines(80, Look())
    for last in (1, 7, 40, 10_000):
        some = model.lines(80, Look(), last=last)
        assert len(some) >= min(last, len(whole))
        assert some == whole[-len(some) :]


def test_parts_of_a_run_are_named_where_others_follow() -> None:
    spans = ("task", "shell", "candidate-1", "candidate-1", "candidate-2", "task")
    model = TranscriptModel().fold([events.Note(text="x", span=span) for span in spans])
    named = [block.source for block in model.blocks if block.kind == "span"]
    assert named == ["candidate-1", "candidate-2", "task"]


def test_a_call_shows_the_last_lines_while_it_runs() -> None:
    model = TranscriptModel().fold([events.ToolStarted(call="1", name="bash", arguments={"command": "make"})])
    for number in range(50):
        model.take(events.ToolOutput(call="1", text=f"line {number}\n"))
    assert drawn(model).split() == [
        *["●", "bash", "make", "│"],
        *" │ ".join(f"line {n}" for n in range(45, 50)).split(),
    ]


def test_words_that_changed_stand_out_in_a_diff() -> None:
    model = TranscriptModel().fold([events.ToolFinished(call="1", name="edit", text="", diff=DIFF)])
    marked = [
        (text, style) for line in model.lines(80, Look()) for text, style in line if style.endswith(".word")
    ]
    assert marked == [("-", "removed.word"), ("+", "added.word")]


SOURCES: list[tuple[Event, str]] = [
    (events.UserMessage(text="  fix\tit \n"), "  fix\tit \n"),
    (events.AssistantMessage(text="a\x1b[0m\r\n\n```\nx\n```"), "a\x1b[0m\r\n\n```\nx\n```"),
    (events.AssistantMessage(text="", thinking=" hm\n"), " hm\n"),
    (events.ToolFinished(call="1", name="bash", text="a\tb\r\n\x00"), "a\tb\r\n\x00"),
    (events.ToolFinished(call="1", name="edit", text="done", diff=DIFF), DIFF),
    (events.ToolStarted(call="1", name="bash", arguments={"command": "ls\t-l\n"}), "ls\t-l\n"),
    (events.PlanUpdated(steps=(("a\tb", True), ("c", False))), "[x] a\tb\n[ ] c"),
    (
        events.SuiteRan(stage="after", passed=1, failing=("t.py::a",)),
        "tests after: 1 passed, 0 failed\nt.py::a",
    ),
    (events.GateFinished(name="scope", passed=True, detail="no\ttest"), "scope: no\ttest"),
    (events.Note(text="a\u202eb"), "a\u202eb"),
    (events.Warning(text="a\tb"), "a\tb"),
    (events.RunFinished(status="solved", reason="", sentence="so", exit=0, patch=DIFF), DIFF),
    (events.RunFinished(status="model", reason="", sentence="so\tit is", exit=4), "so\tit is"),
]


@pytest.mark.parametrize(("event", "source"), SOURCES)
def test_the_source_of_a_block_is_what_was_said(event: Event, source: str) -> None:
    assert TranscriptModel().fold([event]).blocks[0].source == source


def test_emoji_flags_and_marks_are_as_wide_as_they_say() -> None:
    for text in ("👨\u200d👩\u200d👧", "❤\ufe0f", "1\ufe0f\u20e3", "é" * 3, "e\u0301" * 3, "中文"):
        (line,) = TranscriptModel().fold([events.Note(text=text)]).lines(80, Look())
        assert width_of(line) == sum(cells(character) for character in plain(line))


def test_a_look_has_a_sign_for_everything() -> None:
    for name in ("ok", "failed", "running", "stopped"):
        assert getattr(UNICODE, name)
        assert getattr(WORDS, name)
