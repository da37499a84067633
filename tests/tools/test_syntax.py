"""An edit that breaks what could be parsed is found out; one that leaves a broken file no worse is not."""

from __future__ import annotations

import sys

import pytest

from tools.syntax import newly_broken

GOOD = b"def f(x):\n    return x\n"


@pytest.mark.parametrize(
    ("after", "line", "words"),
    [
        (b"def f(x):\n    return x +\n", 2, "invalid syntax"),
        (b"def f(x):\nreturn x\n", 2, "expected an indented block"),
        (b"def f(x):\n    y = 1\n      return y\n", 3, "unexpected indent"),
        (b"def f(x):\n    y = 1\n  return y\n", 3, "unindent"),
        (b"def f(x:\n    return x\n", 0, ""),
        (b"x = 'a\n", 1, "unterminated"),
    ],
)
def test_broken_python_is_named_with_line_and_reason(after: bytes, line: int, words: str) -> None:
    problem = newly_broken("a.py", GOOD, after)
    assert problem is not None
    assert problem.line == line or not line
    assert words in problem.message


def test_good_edits_and_new_files_pass() -> None:
    assert newly_broken("a.py", GOOD, GOOD + b"y = 1\n") is None
    assert newly_broken("a.py", None, GOOD) is None


def test_a_new_file_must_parse() -> None:
    assert newly_broken("a.py", None, b"def f(:\n") is not None


def test_a_file_that_was_broken_may_be_edited_unless_it_gets_worse() -> None:
    broken = b"def f(x)\n    return x\n\n\ndef g():\n    pass\n"
    assert newly_broken("a.py", broken, broken.replace(b"pass", b"return 1")) is None
    assert newly_broken("a.py", broken, broken.replace(b"def g():", b"def g(:\n  ((")) is not None


def test_python_2_files_can_still_be_edited() -> None:
    assert newly_broken("a.py", b"print 'a'\n", b"print 'b'\n") is None


@pytest.mark.parametrize(
    "after", [b"type X = int\n", b"def f[T](x: T) -> T:\n    return x\n", b'x = f"{a["b"]}"\n']
)
def test_syntax_newer_than_this_interpreter_is_no_mistake(after: bytes) -> None:
    assert newly_broken("a.py", GOOD, after) is None


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="later versions parse these themselves")
def test_the_excuse_for_newer_syntax_covers_nothing_else() -> None:
    assert newly_broken("a.py", GOOD, b"def f():\n    x = 1\n      y = f'{x}'\n") is not None
    assert newly_broken("a.py", GOOD, b"print f'{x}'\n") is not None
    assert newly_broken("a.py", GOOD, b"x: list[int] = []\nprint 'a'\n") is not None


def test_a_warning_about_the_source_is_no_error() -> None:
    assert newly_broken("a.py", GOOD, b"x = '\\d'\nassert (1, 'a')\n") is None


@pytest.mark.parametrize(
    ("path", "good", "bad", "line"),
    [
        ("a.json", b'{"a": 1}', b'{\n"a": 1,}', 2),
        ("pyproject.toml", b"a = 1\n", b"a = \n", 0),
    ],
)
def test_data_files_are_checked_too(path: str, good: bytes, bad: bytes, line: int) -> None:
    assert newly_broken(path, None, good) is None
    problem = newly_broken(path, good, bad)
    assert problem is not None
    assert problem.line == line
    assert newly_broken(path, bad, bad + b" ") is None


@pytest.mark.parametrize("path", ["tsconfig.json", ".vscode/settings.json", "src/tsconfig.app.json"])
def test_json_that_may_hold_comments_is_left_alone(path: str) -> None:
    assert newly_broken(path, None, b"{ // yes\n}") is None


def test_other_files_are_not_judged() -> None:
    assert newly_broken("a.txt", None, b"def f(:\n") is None
    assert newly_broken("a.yaml", None, b"a: [\n") is None


@pytest.mark.parametrize(
    "hostile", [b"(" * 100_000, b"-" * 200_000 + b"1", b"[" * 100_000, b"\x00", b"\xff\xfe"]
)
def test_hostile_content_is_a_problem_and_no_crash(hostile: bytes) -> None:
    assert newly_broken("a.py", None, hostile) is not None
    assert newly_broken("a.json", None, hostile) is not None
