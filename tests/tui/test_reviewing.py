"""Candidates and findings, without a window: which part an event belongs to, what differs, where a finding stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coder.events import Event
from coder.transcript.line import Look
from coder.transcript.model import MAIN, UNNAMED
from coder.tui.parts import Part, Parts, compare, hunk_at
from tests.transcript.story import EVENTS
from tests.tui.states import COMPARED, DIFF, OTHER

TWO = """diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@
-x = 1
+x = 2
 y = 1
@@ -10,2 +10,3 @@
 z = 1
+zz = 1
 zzz = 1
diff --git a/b.py b/b.py
--- a/b.py
+++ b/b.py
@@ -1 +1 @@
-b = 1
+b = 2
"""


def fold(stream: list[Event]) -> Parts:
    parts = Parts()
    for event in stream:
        parts.take(event)
    return parts


@given(st.lists(EVENTS, max_size=20))
def test_every_event_belongs_to_its_span_and_nothing_is_lost(stream: list[Event]) -> None:
    parts = fold(stream)
    for name in parts.names:
        own = [event for event in stream if (MAIN if event.span in UNNAMED else event.span) == name]
        alone = fold(own).model(name) if own else None
        if alone is not None:
            lines = parts.model(name).lines(60, Look())
            assert lines == alone.lines(60, Look())


def test_a_candidate_is_known_from_its_first_word_to_the_choice() -> None:
    parts = fold(COMPARED)
    assert parts.names == [MAIN, "candidate-1", "candidate-2", "candidate-3"]
    assert [(part.outcome, part.chosen) for part in parts.known.values()] == [
        ("passed", True),
        ("failed", False),
        ("empty", False),
    ]


def test_two_changes_are_compared_by_what_they_made() -> None:
    found = compare(Part("one", patch=DIFF), Part("two", patch=OTHER))
    assert "-    return a + b" in found.splitlines()
    assert "+    return b + a" in found.splitlines()
    assert " def add(a, b):" in found.splitlines()
    assert compare(Part("one", patch=DIFF), Part("two", patch=DIFF)) == ""


def test_a_file_that_only_one_changed_is_seen() -> None:
    found = compare(Part("one", patch=TWO), Part("two", patch=TWO[: TWO.index("diff --git a/b.py")]))
    assert "-b = 2" in found.splitlines()
    assert "a.py" not in found


def test_a_finding_stands_in_its_hunk() -> None:
    assert "+zz = 1" in hunk_at(TWO, "a.py", 11)
    assert "x = 2" not in hunk_at(TWO, "a.py", 11)
    assert "+b = 2" in hunk_at(TWO, "b.py", 1)
    assert hunk_at(TWO, "a.py", 99).count("@@") == 4
    assert hunk_at(TWO, "c.py", 1) == ""


@given(st.text(alphabet="+-@ \nab0123,/"), st.text(alphabet="ab/", max_size=3), st.integers(0, 9))
def test_no_patch_breaks_it(patch: str, file: str, line: int) -> None:
    hunk_at(patch, file, line)
    hunk_at(f"--- a/{file}\n+++ b/{file}\n{patch}", file, line)
    compare(Part("one", patch=patch), Part("two", patch=patch[::-1]))
