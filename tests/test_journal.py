"""The journal loses nothing but a torn last line."""

from __future__ import annotations

from pathlib import Path

import pytest

from coder import events
from coder.errors import UsageError
from coder.journal import FILE, Journal, fold, load


def written(path: Path, *texts: str) -> Path:
    journal = Journal(path)
    for text in texts:
        journal(events.Note(text=text))
    journal.close()
    return path


def texts(path: Path) -> list[str]:
    return [event.text for event in load(path) if isinstance(event, events.Note)]


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    assert texts(written(tmp_path / FILE, "a", "b\nc")) == ["a", "b\nc"]


def test_deltas_are_not_journalled(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FILE)
    journal(events.TextDelta(text="x"))
    journal.close()
    assert journal.path.read_bytes() == b""


@pytest.mark.parametrize("torn", [b'{"type":"Note","te', b"{", b"\xff\xfe"])
def test_a_torn_last_line_is_survived(tmp_path: Path, torn: bytes) -> None:
    path = written(tmp_path / FILE, "a")
    path.write_bytes(path.read_bytes() + torn)
    assert texts(path) == ["a"]


def test_appending_after_a_torn_line_starts_a_new_one(tmp_path: Path) -> None:
    path = written(tmp_path / FILE, "a")
    path.write_bytes(path.read_bytes() + b'{"type":"No')
    assert texts(written(path, "b")) == ["a", "b"]


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = written(tmp_path / FILE, "a")
    path.write_bytes(path.read_bytes() + b"garbage\n")
    written(path, "b")
    with pytest.raises(UsageError, match="line 2 of the journal"):
        list(load(path))


def test_a_missing_journal_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        list(load(tmp_path / FILE))


def test_only_its_owner_may_read_a_journal(tmp_path: Path) -> None:
    assert written(tmp_path / "run" / FILE).stat().st_mode & 0o777 == 0o600


def test_folding_adds_up_what_answers_cost() -> None:
    spent = events.Spent(requests=1, prompt_tokens=10, completion_tokens=2, turns=1)
    answers = [events.AssistantMessage(text="", spent=spent) for _ in range(3)]
    assert fold(answers).spent == events.Spent(requests=3, prompt_tokens=30, completion_tokens=6, turns=3)
