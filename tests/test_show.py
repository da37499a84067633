"""A past run is shown in the words of the window, and as a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from coder import show
from coder.errors import UsageError
from coder.journal import FILE, Journal
from coder.transcript.line import Look, plain
from coder.transcript.model import TranscriptModel
from tests.transcript.story import STORY


@pytest.fixture
def run(tmp_path: Path) -> str:
    folder = tmp_path / "run"
    journal = Journal(folder / FILE)
    for event in STORY:
        journal(event)
    journal.close()
    return str(folder)


def test_the_text_is_what_the_window_shows(run: str) -> None:
    lines = TranscriptModel().fold(STORY).lines(100, Look(split=0))
    assert (
        show.show_run(run, "text", verbose=False) == "\n".join(plain(line).rstrip() for line in lines) + "\n"
    )


def test_verbose_shows_everything(run: str) -> None:
    shown = show.show_run(run, "text", verbose=True)
    assert shown.count("noise") == 20
    assert "I am sure of it." in shown


def test_a_run_that_was_killed_says_so(run: str) -> None:
    path = Path(run) / FILE
    path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:5]) + b"\n")
    assert show.show_run(run, "text", verbose=False).endswith("This run has not ended, or was killed.\n")


def test_the_page_is_the_owners_alone_and_never_takes_a_files_place(run: str, tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    show.write_page(run, page)
    assert page.stat().st_mode & 0o777 == 0o600
    assert page.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(UsageError, match="cannot be written: File exists"):
        show.write_page(run, page)
