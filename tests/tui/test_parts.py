"""The window's parts that need no window: figures, the status line, completion, history and drafts, copying."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coder import events
from coder.transcript.line import cells
from coder.tui import fuzzy
from coder.tui.clipboard import copy_with_tools
from coder.tui.drafts import Draft, History
from coder.tui.figures import Figures, changes
from coder.tui.status import status_row
from tests.tui.states import ANSWER, BUDGET, EDITED, PREPARED


def folded(*told: events.Event) -> Figures:
    figures = Figures()
    for event in told:
        figures.take(event)
    return figures


def test_a_queue_on_the_server_is_shown_until_the_answer_begins() -> None:
    waiting = folded(*PREPARED, events.ServerLoad(running=8, waiting=2))
    assert "queue 2+8" in "".join(text for text, _ in status_row(waiting, "auto", 120, 0.0))
    waiting.take(events.TextDelta(text="It"))
    assert "queue" not in "".join(text for text, _ in status_row(waiting, "auto", 120, 0.0))


def line(figures: Figures, width: int) -> str:
    return "".join(text for text, _ in status_row(figures, "auto", width, 60.0))


def test_figures_of_a_session() -> None:
    figures = folded(*PREPARED, *EDITED)
    assert (figures.turns, figures.context, figures.cache) == ((7, 40), (49807, 131072), 0.91)
    assert figures.weak == ("memory", "cpu")
    assert (figures.thinking, figures.first_token, round(figures.rate)) == ((380, 2048), 0.4, 41)
    assert (figures.added, figures.removed) == (1, 1)


def test_a_rate_is_an_estimate_until_the_server_has_counted() -> None:
    deltas = [events.TextDelta(text="x" * 36, t=100.0 + number) for number in range(11)]
    figures = folded(*PREPARED, *deltas)
    assert figures.estimated
    assert "~11 tok/s" in line(figures, 120)
    figures.take(ANSWER)
    assert "41 tok/s" in line(figures, 120)
    assert "~" not in line(figures, 120)


@pytest.mark.parametrize("width", range(1, 160))
def test_the_status_line_fits_any_width_and_begins_with_the_mode(width: int) -> None:
    text = line(folded(*PREPARED, *EDITED), width)
    assert cells(text) <= max(width, 6)
    assert text.startswith(" auto"[: max(1, width // 2)])


def test_what_is_not_enforced_is_never_dropped_before_figures() -> None:
    figures = folded(*PREPARED, *EDITED)
    assert "not: memory, cpu" in line(figures, 100)
    assert "bubblewrap !2" in line(figures, 60)
    bare = folded(*PREPARED, events.Prepared(sandbox="none", guarantees={"network": False}), BUDGET)
    for width in (20, 40, 60, 120):
        assert "NO SANDBOX" in line(bare, width)


def test_changed_lines_are_counted_without_the_heads() -> None:
    assert changes("--- a\n+++ b\n@@ -1 +1,2 @@\n-x\n+y\n+z\n") == (2, 1)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("calc", "calc.py"),
        ("tc", "tests/test_calc.py"),
        ("read", "README.md"),
        ("docs/", "docs/calculus.md"),
        ("", "tests/test_calc.py"),
    ],
)
def test_completion_prefers_what_begins_a_name(query: str, first: str) -> None:
    paths = ["tests/test_calc.py", "docs/calculus.md", "calc.py", "README.md", "src/very/long/readable.py"]
    assert fuzzy.best(query, paths, 3)[0] == first


def test_completion_finds_nothing_where_a_letter_is_missing() -> None:
    assert fuzzy.best("xyz", ["calc.py"], 3) == []
    assert fuzzy.best("x" * 10_000, ["x" * 100], 3) == ["x" * 100], "a long query is cut, not slow"


def test_history_goes_back_and_forth_and_outlives_the_window(tmp_path: Path) -> None:
    history = History(tmp_path / "state" / "history.jsonl")
    for text in ("first", "second\nline", "second\nline", ""):
        history.add(text)
    again = History(tmp_path / "state" / "history.jsonl")
    assert again.texts == ["first", "second\nline"]
    assert again.earlier("half") == "second\nline"
    assert again.earlier("second\nline") == "first"
    assert again.earlier("first") is None
    assert again.later() == "second\nline"
    assert again.later() == "half"
    assert again.later() is None
    assert (tmp_path / "state" / "history.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_damaged_history_costs_only_its_damaged_lines(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'"one"\n\xff\xfe{\n17\n"two"\n')
    assert History(path).texts == ["one", "two"]


def test_a_disk_that_refuses_costs_no_typing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = History(tmp_path / "file" / "history.jsonl")
    history.add("text")
    draft = Draft(tmp_path / "file")
    draft.save("text")
    assert (history.texts, draft.load()) == (["text"], "")


def test_a_draft_is_whole_or_the_one_before(tmp_path: Path) -> None:
    draft = Draft(tmp_path / "session")
    draft.save("half a thought \ud800")
    assert Draft(tmp_path / "session").load() == "half a thought ?"
    draft.move(tmp_path / "other")
    assert (Draft(tmp_path / "session").load(), Draft(tmp_path / "other").load()) == ("", "half a thought ?")
    draft.save("")
    assert not list((tmp_path / "other").iterdir())


async def test_a_copy_is_claimed_only_when_a_tool_took_it(tmp_path: Path) -> None:
    tool = tmp_path / "xclip"
    tool.write_text(f'#!/bin/sh\ncat >"{tmp_path}/taken"\n')
    tool.chmod(0o700)
    environ = {"DISPLAY": ":0", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert await copy_with_tools("source\n", environ) == "xclip"
    assert (tmp_path / "taken").read_text() == "source\n"
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert await copy_with_tools("source\n", environ) == ""
    assert await copy_with_tools("source\n", {"PATH": str(tmp_path / "nowhere")}) == ""
