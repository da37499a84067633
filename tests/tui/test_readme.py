"""What the README says and shows of the window is what the window is."""

from __future__ import annotations

import os
import re
from pathlib import Path

from coder.tui.keymap import as_markdown
from tests.tui.conftest import Show
from tests.tui.ports import CLOCK
from tests.tui.states import STATES, port

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "window.svg"


def test_the_readme_has_every_key() -> None:
    readme = (ROOT / "README.md").read_text()
    block = readme.partition("<!-- keys:")[2].partition("-->\n")[2].partition("<!-- /keys -->")[0]
    assert block == as_markdown()


async def test_the_picture_is_of_the_window_as_it_is(show: Show) -> None:
    """Drawn anew with UPDATE_SNAPSHOTS=1. It loads nothing: the drawing library's web fonts are taken out."""
    async with show(port(), size=(100, 30)) as shown:
        shown.window.clock = lambda: CLOCK + 72
        await STATES["queued"](shown)
        await shown.settled()
        shown.window.draw_status()
        await shown.pilot.pause()
        drawn = re.sub(
            r"@font-face \{.*?\}\s*", "", shown.window.export_screenshot(title="coder"), flags=re.DOTALL
        )
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PICTURE.write_text(drawn)
    assert re.findall(r"(?:url\(|href=|src=|@import)[^>]{0,3}https?:", drawn) == []
    assert words_of(drawn) == words_of(PICTURE.read_text())


def words_of(picture: str) -> str:
    """The text of the picture: ids and styles may be named anew by a newer drawing library."""
    return re.sub(r"<[^>]*>", " ", picture.partition("</style>")[2]).strip()
