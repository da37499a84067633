"""The same window in every theme, and without colours: nothing is told by colour alone."""

from __future__ import annotations

import pytest

from coder.tui.theme import themes
from tests.tui.conftest import Show
from tests.tui.shown import Shown
from tests.tui.states import STATES, port

SEEN = ("edited", "approving_an_edit", "plan_proposed", "palette", "unsolved")


def colours(shown: Shown) -> set[str]:
    """Every colour on the screen, as names."""
    found = set()
    for strip in shown.window.screen._compositor.render_strips():
        for segment in strip:
            style = segment.style
            found |= {str(colour) for colour in (style.color, style.bgcolor) if colour} if style else set()
    return found


@pytest.mark.parametrize("state", SEEN)
async def test_every_theme_shows_the_same_words(show: Show, state: str) -> None:
    async with show(port(), size=(80, 24)) as shown:
        shown.window.clock = lambda: 0.0
        await STATES[state](shown)
        await shown.settled()
        shown.window.draw_status()
        words, looks = set(), []
        for theme in themes():
            shown.window.theme = theme.name
            await shown.settled()
            words.add(shown.text)
            looks.append(frozenset(colours(shown)))
        assert len(words) == 1
        assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("state", SEEN)
async def test_without_colours_there_are_none(
    show: Show, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with show(port(), size=(80, 24)) as shown:
        await STATES[state](shown)
        await shown.settled()
        assert shown.window.no_color
        strips = shown.window.transcript.render_lines(shown.window.transcript.size.region)
        triplets = {
            segment.style.color.triplet
            for strip in strips
            for segment in strip
            if segment.style and segment.style.color and segment.style.color.triplet
        }
        assert all(max(triplet) - min(triplet) <= 20 for triplet in triplets), triplets


async def test_the_window_stays_small(show: Show) -> None:
    async with show(port(), size=(80, 24)) as shown:
        for state in SEEN[:4]:
            await STATES[state](shown)
        assert len(list(shown.window.screen.walk_children(with_self=True))) < 40
