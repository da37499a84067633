"""Diffs of edits are what git would show, and are quick for large files."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unidiff import PatchSet

from tools.files import unified

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "@@ x"]), max_size=30).map("\n".join)


def applied(before: str, diff: str) -> str:
    """The text that the diff makes of `before`."""
    lines, out, at = before.split("\n"), [], 0
    for hunk in PatchSet(diff)[0]:
        start = max(0, hunk.source_start - (1 if hunk.source_length else 0))
        out += lines[at:start]
        out += [
            line.value.removesuffix("\n") for line in hunk if not line.is_removed and line.line_type in "+ "
        ]
        at = start + hunk.source_length
    return "\n".join(out + lines[at:])


@given(LINES, LINES)
def test_a_diff_leads_from_one_text_to_the_other(before: str, after: str) -> None:
    before, after = f"{before}\n", f"{after}\n"
    if before != after:
        assert applied(before, unified("a.txt", before.encode(), after.encode())) == after


def test_it_equals_the_plain_diff() -> None:
    before = [f"line {number}\n" for number in range(50)]
    after = [*before[:20], "new\n", *before[22:]]
    plain = "".join(difflib.unified_diff(before, after, "a/x", "b/x"))
    assert unified("x", "".join(before).encode(), "".join(after).encode()) == plain


def test_a_missing_final_newline_is_marked() -> None:
    assert unified("x", b"a", b"b\n").endswith("-a\n\\ No newline at end of file\n+b\n")


def test_new_gone_and_binary_files_are_named() -> None:
    assert unified("x", None, b"a\n") == "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n"
    assert unified("x", b"a\n", None) == "--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
    assert unified("x", b"\x00", b"a") == "Binary files a/x and b/x differ\n"


@pytest.mark.timeout(5)
def test_one_change_in_a_large_file_is_quick() -> None:
    before = b"x = 1\n" * 200_000
    assert "+y = 2" in unified("x", before, before[:600_000] + b"y = 2\n" + before[600_000:])


def test_a_change_that_is_not_shown_whole_says_so() -> None:
    long = "".join(f"line {number}\n" for number in range(40_000)).encode()
    for before, after in ((b"", long), (b"x" * 3_000_000, b"y" * 3_000_000)):
        shown = unified("x", before, after)
        assert len(shown) < 210_000
        assert shown.endswith("\n\\ The change is larger than what is shown.\n")
