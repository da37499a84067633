"""Output for the model: harmless, both ends kept, the gap named."""

from __future__ import annotations

from sandbox.base import Result
from tools.text import clean, clip, cut, of_result


def result(output: bytes, *, total: int | None = None, tail: bytes = b"") -> Result:
    return Result(exit=0, head=output, tail=tail, total_bytes=total or len(output) + len(tail), seconds=0.1)


def test_colours_titles_and_clipboard_sequences_vanish() -> None:
    assert clean("\x1b[1;31mred\x1b[0m \x1b]52;c;aGk=\x07x \x1b]0;title\x1b\\y\x1bc") == "red x y"


def test_overwritten_progress_lines_leave_their_last_state() -> None:
    assert clean("10%\r50%\r100%\nnext\r\n") == "100%\nnext\n"


def test_other_control_characters_become_visible() -> None:
    assert clean("a\x00b") == "a\u2400b"
    assert clean("a\x9bb\u202ec\ud800") == "a\\x9bb\\u202ec\\ud800"


def test_text_within_the_limit_stays_whole() -> None:
    assert cut("short") == "short"
    assert of_result(result(b"short")) == ("short", False)


def test_long_output_keeps_head_and_tail_at_line_borders() -> None:
    lines = [f"line {number}" for number in range(5_000)]
    shown, was_cut = of_result(result("\n".join(lines).encode()))
    assert was_cut
    assert len(shown) < 10_100
    assert shown.startswith("line 0\nline 1\n")
    assert shown.endswith("\nline 4998\nline 4999")
    kept = [line for line in shown.split("\n") if line.startswith("line ")]
    assert set(kept) <= set(lines)
    assert (
        f"{len(lines) - len(kept)} lines left out" in shown.replace("[… ", "[… ") or "lines left out" in shown
    )


def test_one_endless_line_is_cut_too() -> None:
    shown, was_cut = of_result(result(b"x" * 50_000))
    assert was_cut
    assert len(shown) < 10_100
    assert "40000 characters left out" in shown


def test_what_the_sandbox_already_dropped_is_counted_as_well() -> None:
    shown, was_cut = of_result(result(b"head\n" * 100, tail=b"tail\n" * 100, total=1_000_000))
    assert was_cut
    assert "about 999000 bytes left out" in shown
    assert shown.endswith("tail\n")


def test_a_line_is_clipped_visibly() -> None:
    assert clip("abcdef", 4) == "abc…"
    assert clip("abcd", 4) == "abcd"
