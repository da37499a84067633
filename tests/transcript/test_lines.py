"""Lines: what may stand in them, how wide they are, where they break."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder.transcript.diff import counts, parse
from coder.transcript.flowing import Flow, FlowingLines
from coder.transcript.line import Line, Look, aligned, cells, clip, plain, width_of, wrap
from coder.transcript.markdown import code_lines, markdown
from coder.transcript.safe import first_line, visible
from tests.transcript.story import HOSTILE, MARKDOWN, TEXT


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x07", "␛[31mred␇"),
        ("a\r\nb\rc", "a\nb␍c"),
        ("a\tb", "a   b"),
        ("\x9b2J", "\\x9b2J"),
        ("abc\u202edef", "abc\\u202edef"),
        ("pass\u200bword", "pass\\u200bword"),
        ("ad\u200dmin", "ad\\u200dmin"),
        ("\ufeffx", "\\ufeffx"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("❤\ufe0f 👨\u200d👩", "❤ 👨👩"),
        ("1\ufe0f\u20e3", "1\u20e3"),
        ("\u0301x", "◌\u0301x"),
        ("a" + "\u0301" * 50, "a" + "\u0301" * 4),
        ("ก" + "\u0e49" * 50, "ก" + "\u0e49" * 4),
    ],
)
def test_what_hides_or_steers_is_seen(hostile: str, shown: str) -> None:
    assert visible(hostile) == shown


@settings(max_examples=300)
@given(HOSTILE)
def test_visible_text_is_visible_for_good(text: str) -> None:
    once = visible(text)
    assert visible(once) == once
    assert "\n" not in first_line(text)


@given(
    st.lists(st.tuples(TEXT.map(visible), st.sampled_from(["a", "b"])), max_size=4),
    st.integers(4, 80),
    st.booleans(),
)
def test_rows_are_never_too_wide_and_lose_no_word(
    line: list[tuple[str, str]], width: int, words: bool
) -> None:
    rows = wrap(line, width, (("> ", "x"),), (("  ", "x"),), words=words)
    assert all(width_of(row) <= width for row in rows)
    said = "".join(text for text, _ in line)
    shown = "".join(plain(row)[2:] for row in rows)
    assert "".join(shown.split()) == "".join(said.split())


@given(HOSTILE.map(visible), st.integers(0, 40))
def test_a_clip_fits(text: str, room: int) -> None:
    assert cells(clip(text.replace("\n", " "), room)) <= room


def test_words_break_at_blanks_and_only_long_ones_anywhere() -> None:
    rows = wrap([("one two three abcdefghijkl", "text")], 9)
    assert [plain(row) for row in rows] == ["one two", "three", "abcdefghi", "jkl"]
    assert [plain(row) for row in wrap([("中文字符", "text")], 5)] == ["中文", "字符"]


def test_figures_stand_at_the_edge_and_the_left_gives_way() -> None:
    left: Line = (("a long command line", "tool"),)
    assert plain(aligned(left, "3 s", 24)) == "a long command line  3 s"
    assert plain(aligned(left, "3 s", 20)) == "a long command   3 s"


@settings(max_examples=100, deadline=None)
@given(TEXT, st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(10, 100))
def test_how_text_arrived_makes_no_difference(text: str, cuts: list[int], width: int) -> None:
    pieces, whole = FlowingLines(), FlowingLines()
    at = 0
    for size in cuts * (len(text) // sum(cuts) + 1):
        pieces.flow.feed(text[at : at + size])
        pieces.lines(width, Look())
        at += size
    whole.flow.feed(text)
    assert pieces.lines(width, Look()) == whole.lines(width, Look())


def test_only_the_last_part_is_drawn_again() -> None:
    flow = Flow()
    flow.feed(MARKDOWN * 20)
    rest = flow.rest()
    assert rest is not None
    assert len(rest.text) < len(MARKDOWN)
    assert len(flow.chunks) == 100


def test_long_code_is_cut_and_stays_code() -> None:
    lines = FlowingLines()
    lines.flow.feed("```py\n" + "x = 'a'\n\n" * 300 + "```\n\nend\n")
    drawn = lines.lines(80, Look())
    assert sum(plain(line) == "  x = 'a'" for line in drawn) == 300
    assert ("'a'", "string") in drawn[-4] + drawn[-5]
    assert len(lines.flow.chunks) > 5


def test_a_fence_in_a_list_is_not_torn() -> None:
    lines = FlowingLines()
    lines.flow.feed("- item\n\n  ```py\n  x = 1\n\nodd\n  ```\n\nafter\n")
    shown = [plain(line) for line in lines.lines(80, Look())]
    assert len(lines.flow.chunks) == 1
    assert shown[-1] == "after"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[my bank](http://evil.example)", "my bank (http://evil.example)"),
        ("<http://a.example>", "http://a.example"),
        ("![cat](http://a.example/c.png)", "[image: cat] (http://a.example/c.png)"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("&#27;[2J", "�[2J"),
        ("&#x202e;x", "\\u202ex"),
        ("a  \nb", "a\nb"),
        ("- [x] done", "• [x] done"),
        ("3. c\n4. d", "3. c\n4. d"),
    ],
)
def test_markdown_hides_nothing(text: str, shown: str) -> None:
    assert "\n".join(plain(line) for line in markdown(visible(text), 80, Look())) == shown


@pytest.mark.parametrize("language", ["c", "cpp", "java", "rust", "python", "javascript"])
@pytest.mark.parametrize("piece", ["\n", "'", "{", "/*", '"""\n', "\\", "a=", 'r#"'])
def test_no_code_holds_the_window_up(language: str, piece: str) -> None:
    began = time.process_time()
    code_lines((piece * 20_000)[:20_000], language, 80)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "piece", ["[", "![", "*a", "> ", "`", "<a", "- ", "|a|b|\n", "[](<", "a**b_c", "\\", "&"]
)
def test_no_markdown_holds_the_window_up(piece: str) -> None:
    began = time.process_time()
    flow = FlowingLines()
    flow.flow.feed(piece * 20_000)
    flow.lines(80, Look())
    assert time.process_time() - began < 5


def test_a_removed_line_that_looks_like_a_header_is_a_removed_line() -> None:
    rows = parse("--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,1 @@\n--- a comment\n x\n@@ -9 +8 @@\n-a\n+++ b\n")
    assert [row.sign for row in rows] == ["f", "@", "-", " ", "@", "-", "+"]
    assert counts(rows) == (1, 2)


@settings(max_examples=100)
@given(TEXT)
def test_any_text_is_a_diff_of_some_kind(text: str) -> None:
    parse(text)
    parse(f"--- a/x\n+++ b/x\n@@ -1,5 +1,5 @@\n{text}")
