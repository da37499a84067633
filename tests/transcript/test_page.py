"""The page is one file that asks for nothing, and nothing that was said becomes markup."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder import events
from coder.events import Event
from coder.transcript.export import as_markdown, fenced
from coder.transcript.model import TranscriptModel
from coder.transcript.page import as_page
from tests.chromium import chromium
from tests.transcript.story import EVENTS, STORY, TEXT

EVIL = (
    "</title></style></pre><script src='http://127.0.0.1:1/x.js'></script><img src=//127.0.0.1/x onerror=alert(1)>"
    "<link rel=stylesheet href=http://127.0.0.1/x.css><iframe src=http://127.0.0.1></iframe>\x1b]8;;http://x\x07"
)
TAGS = {
    "html", "head", "meta", "link", "title", "style", "body", "header", "h1", "main", "section", "details", "summary",
    "pre", "span", "footer",
}  # fmt: skip


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs if name not in ("class", "content")}


def hostile() -> list[Event]:
    return [
        events.RunStarted(task=EVIL, workflow=EVIL, repository=EVIL),
        events.UserMessage(text=EVIL),
        events.AssistantMessage(
            text=f"{EVIL}\n\n```html\n{EVIL}\n```\n\n[{EVIL}](javascript:alert(1))", thinking=EVIL
        ),
        events.ToolStarted(call="1", name=EVIL, arguments={"command": EVIL}),
        events.ToolFinished(
            call="1", name=EVIL, text=EVIL, diff=f"--- a/x\n+++ b/{EVIL}\n@@ -1 +1 @@\n-{EVIL}\n+{EVIL}\n"
        ),
        events.RunFinished(status="solved", reason="", sentence=EVIL, exit=0, summary=EVIL, patch=EVIL),
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=8), TEXT)
def test_nothing_becomes_markup(stream: list[Event], title: str) -> None:
    page = as_page(TranscriptModel().fold([*stream, *hostile()]), title + EVIL)
    tags = Tags(page)
    assert tags.found <= TAGS
    assert {name for name, _ in tags.attributes} <= {
        "lang",
        "charset",
        "http-equiv",
        "name",
        "rel",
        "href",
        "open",
    }
    assert {value for name, value in tags.attributes if name == "href"} == {"data:,"}
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", page)


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_no_text_closes_its_fence(text: str) -> None:
    first, *inner, last = fenced(text).split("\n")
    assert first == last
    assert not any(line.startswith(first) for line in inner)


def test_markdown_has_everything_that_was_said() -> None:
    page = as_markdown(TranscriptModel().fold(STORY))
    assert "> Find the bug and fix it: fix test_add" in page
    assert "I'll **read** `calc.py`, *then* fix the sign." in page
    assert "```diff\n--- a/calc.py" in page
    assert "\x1b" not in page


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The folder, served; and every path that was asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]  # as socketserver gives them

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()
        thread.join()


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 1200])
async def test_a_browser_shows_it_and_asks_for_nothing_else(
    tmp_path: Path, server: tuple[str, list[str]], width: int
) -> None:
    url, asked = server
    evil = EVIL.replace("127.0.0.1:1", url.removeprefix("http://")).replace(
        "//127.0.0.1/", f"{url.removeprefix('http:')}/"
    )
    stream = [*STORY, *hostile(), events.AssistantMessage(text=evil), events.Note(text=evil)]
    (tmp_path / "run.html").write_text(as_page(TranscriptModel().fold(stream), evil))
    async with chromium(tmp_path) as page:
        await page.open(f"{url}/run.html", width=width, dark=width < 500)
        text = await page.evaluate("document.body.innerText")
        assert "fix test_add, it fails since yesterday" in text
        assert await page.evaluate("document.querySelectorAll('span.added').length") > 0
        assert await page.overflow() <= 0
        assert not page.console
    assert asked == ["/run.html"]
    assert page.asked == [f"{url}/run.html", "data:,"] or page.asked == [f"{url}/run.html"]
