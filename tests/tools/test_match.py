"""The ladder that finds the text to be replaced, rung by rung, and what it says when it refuses."""

from __future__ import annotations

import pytest

from tools.match import Match, Miss, locate, nearest

METHOD = """\
class Cart:
    def total(self):
        return sum(self.prices)

    def count(self):
        return len(self.prices)
"""


def replaced(text: str, old: str, new: str) -> str:
    found = locate(text, old, new)
    assert isinstance(found, Match), found
    return text[: found.start] + found.replacement + text[found.end :]


def note(text: str, old: str, new: str) -> str:
    found = locate(text, old, new)
    assert isinstance(found, Match), found
    return found.note


def reason(text: str, old: str, new: str = "x") -> str:
    found = locate(text, old, new)
    assert isinstance(found, Miss), found
    return found.reason


def test_an_exact_unique_text_is_replaced_character_for_character() -> None:
    assert replaced("a = 1\nb = 2\n", "b = 2", "b = 3") == "a = 1\nb = 3\n"
    assert note("a = 1\nb = 2\n", "b = 2", "b = 3") == ""


def test_an_ambiguous_text_is_refused_with_its_lines() -> None:
    assert "3 times (lines 1, 2, 4)" in reason("x\nx\ny\nx\n", "x")


def test_two_places_that_differ_in_indentation_only_are_told_apart_by_it() -> None:
    text = "if a:\n    go() \n    stop()\nif b:\n        go() \n        stop()\n"
    assert replaced(text, "    go()\n    stop()", "    wait()") == text.replace(
        "    go() \n    stop()\nif", "    wait()\nif"
    )


def test_white_space_at_line_ends_is_ignored_and_said() -> None:
    assert replaced("a = 1  \nb = 2\t\nc\n", "a = 1\nb = 2\n", "d\n") == "d\nc\n"
    assert "trailing" in note("a = 1  \nb = 2\n", "a = 1\nb = 2", "d")


def test_a_block_written_too_far_left_is_indented_like_the_file() -> None:
    old = "def total(self):\n    return sum(self.prices)"
    new = "def total(self):\n    if not self.prices:\n        return 0\n    return sum(self.prices)"
    text = METHOD.replace("(self.prices)\n\n", "(self.prices) \n\n")
    assert "        if not self.prices:\n            return 0\n" in replaced(text, old, new)
    # the same through a shift of every line, the text itself being unaltered
    shifted = "  def total(self):\n      return sum(self.prices)"
    assert "    def total(self):\n        return 1\n" in replaced(
        METHOD, shifted, "  def total(self):\n      return 1"
    )
    assert "2 columns further right" in note(METHOD, shifted, "  x")


def test_a_block_written_too_far_right_moves_left_unless_a_line_would_leave_the_page() -> None:
    old = "        def total(self):\n            return sum(self.prices)"
    assert "\n    def total(self):\n        return 1\n" in replaced(
        METHOD, old, "        def total(self):\n            return 1"
    )
    assert "not in the file" in reason(METHOD, old, "def total(self):\n    return 1")


def test_spaces_are_turned_into_the_tabs_of_the_file_and_back() -> None:
    tabs = "def f():\n\tif x:\n\t\treturn 1\n"
    assert (
        replaced(tabs, "    if x:\n        return 1", "    if y:\n        return 2")
        == "def f():\n\tif y:\n\t\treturn 2\n"
    )
    assert "tabs" in note(tabs, "    if x:\n        return 1", "    pass")
    spaces = "def f():\n    if x:\n        return 1\n"
    assert replaced(spaces, "\tif x:\n\t\treturn 1", "\tif x:\n\t\treturn 2") == spaces.replace("1", "2")


def test_a_first_line_without_its_indentation_is_understood() -> None:
    old = "def total(self):\n        return sum(self.prices) "
    new = "def total(self):\n        return 0"
    assert "    def total(self):\n        return 0\n" in replaced(METHOD, old, new)


def test_line_numbers_copied_from_a_view_are_taken_off() -> None:
    old = "     2\t    def total(self):\n     3\t        return sum(self.prices)"
    assert "        return 0\n" in replaced(
        METHOD, old, "     2\t    def total(self):\n     3\t        return 0"
    )
    assert "line numbers" in note(METHOD, old, "    pass")


def test_blank_lines_around_the_text_do_not_matter() -> None:
    assert replaced("a\nb\n", "\n\na\n\n", "\nc\n") == "c\nb\n"


def test_replacing_whole_lines_by_nothing_leaves_no_empty_line() -> None:
    assert replaced("a \nb\n", "a\n", "") == "b\n"


def test_mixed_line_ends_stay_as_they_are_around_the_edit() -> None:
    text = "a\r\nb\r\nc\n"
    assert replaced(text, "a\nb", "x\ny") == "x\r\ny\r\nc\n"


def test_a_miss_shows_the_nearest_real_text_with_its_lines() -> None:
    said = reason(METHOD, "    def total(self):\n        return sum(self.costs)")
    assert "nearest" in said
    assert "     2\t    def total(self):\n     3\t        return sum(self.prices)" in said


def test_a_miss_without_anything_alike_says_so() -> None:
    assert reason(METHOD, "while True:\n    connect(socket)").endswith("Nothing there resembles it.")


def test_a_replacement_that_is_there_already_is_pointed_out() -> None:
    assert "new_str already is, at line 3" in reason(
        METHOD, "return max(self.prices)", "return sum(self.prices)"
    )


@pytest.mark.parametrize("old", ["   ", "\n\n", "\t"])
def test_white_space_alone_matches_nothing_by_guess(old: str) -> None:
    assert isinstance(locate("a\nb", old, "x"), Miss)


@pytest.mark.timeout(5)
def test_a_miss_in_a_large_monotonous_file_is_answered_quickly() -> None:
    text = "value = (((((((((((((((((((((((((((((\n" * 20_000
    assert nearest(text, "value = ((((((((((((((((((((((((((((()\n" * 30) is not None
