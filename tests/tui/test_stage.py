"""Heights that are guessed, measured and summed: the same as if all had been measured at once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder.errors import UsageError
from coder.events import Event
from coder.transcript.line import Look, plain
from coder.transcript.model import TranscriptModel
from coder.tui.drawing import with_matches
from coder.tui.rows import Rows
from coder.tui.stage import Stage
from coder.tui.theme import NAMES, STYLES, palette, read_own
from tests.transcript.story import EVENTS, STORY


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(0, 9), st.integers(0, 9)),
            st.tuples(st.just("put"), st.integers(0, 30), st.integers(0, 9)),
            st.tuples(st.just("keep"), st.integers(0, 30), st.just(0)),
            st.tuples(st.just("top"), st.integers(0, 30), st.just(0)),
        ),
        max_size=60,
    )
)
def test_sums_are_sums(steps: list[tuple[str, int, int]]) -> None:
    rows, heights = Rows(), list[int]()
    for step, number, height in steps:
        match step:
            case "append":
                rows.append(height, exact=bool(number % 2))
                heights.append(height)
            case "put" if number < len(heights):
                assert rows.put(number, height) == height - heights[number]
                heights[number] = height
            case "keep":
                rows.keep(number)
                del heights[number:]
            case _ if number <= len(heights):
                assert rows.top(number) == sum(heights[:number])
        assert len(rows) == len(heights)
    assert rows.total == sum(heights)
    for row in range(sum(heights)):
        place = rows.at(row)
        assert sum(heights[:place]) <= row < sum(heights[: place + 1])


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=25), st.integers(10, 120), st.lists(st.integers(0, 60), max_size=5))
def test_any_frame_is_what_the_model_says(stream: list[Event], width: int, tops: list[int]) -> None:
    stage = Stage(TranscriptModel(), Look(), width)
    for number, event in enumerate(stream):
        stage.model.take(event)
        if number % 3 == 0:
            stage.sync()
            stage.settle_end(7)
    stage.sync()
    for top in [*tops, 10_000]:
        stage.settle(min(top, stage.total), 9)
    stage.plan_measuring(0)
    stage.measure_some(60, 0)
    expected = stage.model.lines(width, stage.look)
    assert stage.total == len(expected)
    for top in tops:
        assert [line for _, line in stage.frame(top, 9)] == expected[top : top + 9]


def test_what_is_seen_stays_while_the_rest_is_measured() -> None:
    stage = Stage(TranscriptModel().fold(STORY * 30), Look(), 70)
    stage.sync()
    top = stage.settle_end(20) - 300
    top = stage.settle(top, 20)
    seen = list(stage.frame(top, 20))
    stage.plan_measuring(top)
    while stage.measuring and stage.rows.guessed:
        top += stage.measure_some(0.001, top)
        assert list(stage.frame(top, 20)) == seen


def test_matches_stand_out_and_change_no_character() -> None:
    line = (("Find ", "text"), ("the find", "strong"))
    marked = with_matches(line, "find", 1)
    assert plain(marked) == plain(line)
    assert [text for text, style in marked if style == "match"] == ["Find"]
    assert [text for text, style in marked if style == "match.now"] == ["find"]


@pytest.mark.parametrize("theme", NAMES)
def test_added_and_removed_differ_in_every_theme(theme: str) -> None:
    styles = palette(theme)
    assert styles["added"] != styles["removed"]
    assert styles["added.word"] != styles["added"]
    assert len({str(styles[name]) for name in STYLES}) > 12


def test_without_colour_weight_is_left() -> None:
    styles = palette("coder-dark", colour=False)
    assert styles["error"].color is None
    assert styles["error"].bold
    assert styles["added"].bgcolor is None


def test_users_have_styles_of_their_own() -> None:
    own = read_own('[styles]\nadded = "bold #00ff00"\n')
    assert str(palette("coder-light", own=own)["added"]) == "bold #00ff00"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "no TOML"),
        ("styles = 1", "must be a table"),
        ("[styles]\nnope = 'red'", "names a style 'nope'"),
        ("[styles]\nadded = 'no such colour'", "added is no style"),
        ("[styles]\nadded = 1", "added is no style"),
    ],
)
def test_a_wrong_theme_file_is_a_sentence(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_own(text)
