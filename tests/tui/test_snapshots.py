"""What the window looks like: every state at three widths, as text beside this file, and in all colours.

`UPDATE_SNAPSHOTS=1` writes the files anew; the difference is then to be read like any other change.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.conftest import Show
from tests.tui.ports import CLOCK
from tests.tui.shown import CONTROL, Shown
from tests.tui.states import STATES, port

SNAPSHOTS = Path(__file__).parent / "snapshots"
HEIGHT = 24
WIDTHS = (60, 80, 120)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def made(shown: Shown, name: str) -> str:
    shown.window.clock = lambda: CLOCK + 72
    await STATES[name](shown)
    await shown.settled()
    shown.window.draw_status()
    await shown.pilot.pause()
    return shown.text


@pytest.mark.parametrize("name", STATES)
async def test_looks_as_it_did(show: Show, name: str) -> None:
    """At the middle width first; then the same window is made narrower and wider, as a person would."""
    async with show(port(), size=(80, HEIGHT)) as shown:
        await made(shown, name)
        drawn = []
        for width in WIDTHS:
            await shown.resize(width, HEIGHT)
            await shown.settled()
            assert len(shown.rows) == HEIGHT
            drawn.append(f"{width} columns\n{shown.text}\n")
    whole = "\n".join(drawn)
    assert CONTROL.sub("", whole.replace("\n", "")) == whole.replace("\n", "")
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        path.write_text(whole)
    assert whole == path.read_text()


TINY = ((1, 1), (2, 24), (80, 1), (3, 2), (200, 60), (80, HEIGHT))


@pytest.mark.parametrize("name", STATES)
async def test_no_size_ends_it(show: Show, name: str) -> None:
    """Down to one cell, in every state; then all is as it was."""
    async with show(port(), size=(80, HEIGHT)) as shown:
        before = await made(shown, name)
        for width, height in TINY:
            await shown.resize(width, height)
            await shown.pilot.pause()
            assert len(shown.rows) == height
        assert shown.text == before
