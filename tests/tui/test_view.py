"""The view shows what the model says, wherever the user stands, and leaves the user there."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from coder import events
from coder.events import Event
from coder.transcript.line import Look, plain
from coder.tui.theme import NAMES, themes
from coder.tui.view import TranscriptView
from tests.transcript.story import DIFF, EVENTS, MARKDOWN, STORY


class Shown(App[None]):
    """A window of nothing but the transcript."""

    def __init__(self, past: Iterable[Event] = ()) -> None:
        super().__init__()
        self.view = TranscriptView()
        self.past = list(past)
        self.copied: list[tuple[str, str]] = []
        self.moves = 0

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        for theme in themes():
            self.register_theme(theme)
        if self.past:
            self.view.load(self.past)

    def on_transcript_view_copied(self, message: TranscriptView.Copied) -> None:
        self.copied.append((message.text, message.what))

    def on_transcript_view_moved(self) -> None:
        self.moves += 1

    def screen_lines(self) -> list[str]:
        """What the view draws now, without the cursor's column."""
        height = self.view.scrollable_content_region.height
        return [self.view.render_line(y).text[1:].rstrip() for y in range(height)]

    @property
    def row(self) -> int:
        return round(self.view.scroll_y)

    def expected(self) -> list[str]:
        width = self.view.scrollable_content_region.width - 1
        return [plain(line).rstrip() for line in self.view.model.lines(width, self.view.look)]


def long_story(times: int = 20) -> list[Event]:
    return STORY * times


async def settled(pilot: Pilot[None]) -> None:
    """Until everything is measured."""
    app = pilot.app
    assert isinstance(app, Shown)
    for _ in range(500):
        await pilot.pause(0.03)
        if not app.view.measuring:
            return
    raise AssertionError("the view never stops measuring")


async def test_a_run_is_shown_from_its_end() -> None:
    app = Shown(long_story())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.screen_lines() == app.expected()[-24:]
        assert app.view.following


@pytest.mark.parametrize("width", [40, 60, 80, 120, 160])
async def test_every_row_is_where_the_model_has_it(width: int) -> None:
    app = Shown(long_story(3))
    async with app.run_test(size=(width, 24)) as pilot:
        await settled(pilot)
        expected = app.expected()
        assert app.view.virtual_size.height == len(expected)
        for top in range(0, len(expected) - 24, 17):
            app.view.scroll_to(y=top)
            assert app.screen_lines() == expected[top : top + 24]


async def test_whoever_scrolls_up_is_left_there_and_told_how_much_is_new() -> None:
    app = Shown(long_story())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.view.page(-1)
        assert not app.view.following
        seen = app.screen_lines()
        for number in range(5):
            app.view.take(events.Note(text=f"news {number}"))
        await pilot.pause(0.2)
        assert app.screen_lines() == seen
        assert app.view.unseen == 5
        assert app.moves
        app.view.to_end()
        assert app.view.unseen == 0
        assert app.screen_lines()[-1] == "· news 4"


async def test_scrolling_to_the_end_follows_again() -> None:
    app = Shown(long_story())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.view.page(-1)
        app.view.page(1)
        assert app.view.following
        app.view.take(events.Note(text="news"))
        await pilot.pause(0.2)
        assert app.screen_lines()[-1] == "· news"


async def test_measuring_moves_nothing_that_is_seen() -> None:
    app = Shown(long_story(60))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.view.scroll_to(y=app.row - 200)
        seen = app.screen_lines()
        await settled(pilot)
        assert app.screen_lines() == seen


async def test_a_new_width_keeps_the_place() -> None:
    app = Shown(long_story())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        place = next(n for n, block in enumerate(app.view.model.complete) if n > 60 and block.kind == "gate")
        app.view.scroll_to(y=app.view.top_of(place))
        first = app.screen_lines()[1]
        await pilot.resize_terminal(60, 24)
        await pilot.pause(0.1)
        assert app.screen_lines()[1] == first
        await settled(pilot)
        assert app.screen_lines()[1] == first


async def test_growing_and_shrinking_keeps_following() -> None:
    app = Shown(long_story())
    async with app.run_test(size=(80, 24)) as pilot:
        for size in ((80, 40), (80, 12), (120, 40), (50, 10)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
            assert app.view.following
            assert app.screen_lines() == app.expected()[-size[1] :]


async def test_text_streams_in_at_the_end() -> None:
    app = Shown(STORY[:3])
    async with app.run_test(size=(80, 24)) as pilot:
        for begin in range(0, len(MARKDOWN), 9):
            app.view.take(events.TextDelta(text=MARKDOWN[begin : begin + 9]))
        await pilot.pause(0.2)
        streamed = app.screen_lines()
        assert streamed[-1] == "Done."
        app.view.take(events.AssistantMessage(text=MARKDOWN))
        await pilot.pause(0.2)
        assert app.screen_lines() == streamed


async def test_the_cursor_goes_from_block_to_block_and_opens_them() -> None:
    app = Shown(STORY)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.view.move_cursor(-1)
        app.view.copy()
        await pilot.pause()
        assert app.copied == [(DIFF, "the patch")]
        while app.view.chosen_kind != "thought":
            app.view.move_cursor(-1)
        assert app.view.render_line(app.view.cursor_row).text.startswith("▌▸ Thought")
        app.view.toggle()
        shown = app.screen_lines()
        assert shown[shown.index("▾ Thought · 412 of 2048 tokens") + 1] == "│ The sign is wrong."
        app.view.copy()
        await pilot.pause()
        assert app.copied[-1] == ("The sign is wrong.\nI am sure of it.", "the thought")


async def test_a_click_opens_what_is_under_it() -> None:
    app = Shown(STORY)
    async with app.run_test(size=(80, 200)) as pilot:
        await pilot.pause()
        row = app.screen_lines().index("▸ Thought · 412 of 2048 tokens")
        await pilot.click(TranscriptView, offset=(5, row))
        assert app.screen_lines()[row] == "▾ Thought · 412 of 2048 tokens"
        await pilot.click(TranscriptView, offset=(5, row))
        assert app.screen_lines()[row] == "▸ Thought · 412 of 2048 tokens"


async def test_everything_opens_and_folds_at_once() -> None:
    app = Shown(STORY)
    async with app.run_test(size=(80, 200)) as pilot:
        await pilot.pause()
        folded = app.screen_lines()
        app.view.toggle_all()
        assert "  │ noise" in app.screen_lines()
        app.view.toggle_all()
        assert app.screen_lines() == folded
        app.view.toggle_thoughts()
        assert "│ I am sure of it." in app.screen_lines()
        app.view.take(events.AssistantMessage(text="", thinking="another thought"))
        await pilot.pause(0.2)
        assert "│ another thought" in app.screen_lines()


async def test_search_finds_opens_and_marks() -> None:
    app = Shown([*STORY, *[events.Note(text=f"filler {n}") for n in range(100)]])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.view.search("I AM SURE") == 1
        assert "│ I am sure of it." in app.screen_lines()
        assert app.view.search("filler 5") == 11
        first = app.row
        app.view.next_hit(1)
        assert app.row > first
        app.view.next_hit(-1)
        assert app.row == first
        app.view.next_hit(-1)
        assert "· filler 59" in app.screen_lines()
        assert app.view.search("not there") == 0
        app.view.leave()


async def test_rewinding_takes_the_lines_away() -> None:
    app = Shown([events.UserMessage(text="one"), events.Note(text="x"), events.UserMessage(text="two")])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.view.take(events.Rewound(index=1, messages=2, text="two"))
        await pilot.pause(0.2)
        assert "❯ two" not in app.screen_lines()
        assert app.screen_lines()[:3] == ["❯ one", "", "· x"]


async def test_what_is_selected_is_what_is_seen() -> None:
    app = Shown([events.Note(text="first"), events.Note(text="second")])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.mouse_down(TranscriptView, offset=(1, 0))
        await pilot.hover(TranscriptView, offset=(6, 1))
        await pilot.mouse_up(TranscriptView, offset=(6, 1))
        selected = app.screen.get_selected_text()
        assert selected is not None
        assert selected.startswith("· first\n· sec")


@pytest.mark.parametrize("theme", [*NAMES, "textual-light", "ansi-dark", "nord"])
async def test_every_theme_draws_the_same_text(theme: str) -> None:
    app = Shown(STORY)
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.pause()
        before = app.screen_lines()
        app.theme = theme
        await pilot.pause()
        assert app.screen_lines() == before


async def test_without_colour_no_colour_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Shown(STORY)
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.pause()
        app.view.refresh()
        await pilot.pause()
        colours = {
            segment.style.color.name
            for y in range(40)
            for segment in app.view.render_line(y)
            if segment.style and segment.style.color
        }
        assert len(colours) == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(EVENTS, max_size=30),
    st.lists(st.tuples(st.integers(1, 150), st.integers(1, 50)), min_size=1, max_size=4),
)
async def test_nothing_hostile_reaches_the_screen(stream: list[Event], sizes: list[tuple[int, int]]) -> None:
    app = Shown()
    async with app.run_test(size=(80, 24)) as pilot:
        for number, event in enumerate(stream):
            app.view.take(event)
            if number % 7 == 0:
                width, height = sizes[number // 7 % len(sizes)]
                await pilot.resize_terminal(width, height)
                app.view.page(-1)
        await pilot.pause(0.1)
        width = app.view.size.width
        for y in range(app.view.size.height):
            strip = app.view.render_line(y)
            assert strip.cell_length == width
            assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in strip.text)


def test_a_look_of_its_own() -> None:
    assert TranscriptView(Look(split=0)).look.split == 0
