"""Prefix rules: they cover what they say, and whatever could be more than that is not covered."""

from __future__ import annotations

import pytest

from tools.commands import covered, parse_rule, simple_commands, suggest

PYTEST = [("pytest",)]

COVERED = [
    "pytest",
    "pytest -q tests/test_calc.py::test_add",
    "pytest -k 'add and not slow'",
    'pytest "-q"',
    "'pytest' -q",
    "  pytest\t-q  ",
    "pytest -q 2>&1 | tail -20",
    "cd /workspace && pytest -q > /dev/null; pytest",
    "cd tests && pytest",
    "pytest -x || pytest --lf",
    "pytest\npytest -q\n",
    "pytest tests/a#b.py",
    'pytest "a; rm -rf /"',
    "pytest 'a && $(evil)'",
]
HOSTILE = [
    "",
    "rm -rf /",
    "pytest; rm -rf /",
    "pytest && evil",
    "pytest || evil",
    "pytest | evil",
    "pytest |& evil",
    "pytest & evil",
    "pytest\nevil",
    "pytest\r\nevil",
    "pytest $(evil)",
    "pytest `evil`",
    'pytest "$(evil)"',
    'pytest "`evil`"',
    "pytest ${X:=$(evil)}",
    "pytest $'\\n'evil",
    "pytest <(evil)",
    "pytest > calc.py",
    "pytest >> /dev/nullx",
    "pytest >/dev/null/../../workspace/calc.py",
    "pytest 2>&1evil",
    "pytest >&calc.py",
    "pytest < evil",
    "pytest <<EOF\n$(evil)\nEOF",
    "pytest <<< evil",
    "PATH=/tmp/evil:$PATH pytest",
    "PYTHONPATH=/tmp pytest",
    "A=1 pytest",
    "pytest() { evil; }; pytest",
    "function pytest { evil; }; pytest",
    "alias pytest=evil; pytest",
    "if pytest; then evil; fi",
    "time evil; pytest",
    "! pytest",
    "(pytest)",
    "{ pytest; }",
    "./pytest",
    "/tmp/pytest",
    "pytestx",
    "pytest-evil",
    "env pytest",
    "cd / && pytest",
    "cd ../x && pytest",
    "cd /workspace/../tmp && pytest",
    "pytest \\\n; evil",
    "pytest 'unclosed",
    'pytest "unclosed',
    "pytest\u00a0; evil",
    "pytest \x00evil",
    "pytest;; evil",
    "ls; cat calc.py",
    "pytest; echo x > calc.py",
    "pytest " + "a" * 20_000,
]


@pytest.mark.parametrize("script", COVERED)
def test_what_a_rule_says_is_covered(script: str) -> None:
    assert covered(script, PYTEST)


@pytest.mark.parametrize("script", HOSTILE)
def test_what_could_be_more_is_not(script: str) -> None:
    assert not covered(script, PYTEST)


def test_a_rule_of_several_words_covers_only_commands_that_begin_with_all_of_them() -> None:
    rules = [("git", "log"), ("python", "-m", "pytest")]
    assert covered("git log --oneline | head -3 && python -m pytest", rules)
    assert not covered("git -c core.pager=evil log", rules)
    assert not covered("git push", rules)
    assert not covered("python -c 'import os'", rules)


def test_words_are_put_together_as_a_shell_does() -> None:
    assert simple_commands("py'te'\"st\" -k ''") == [("pytest", "-k", "")]


@pytest.mark.parametrize("text", ["", "bash -c", "env", "xargs rm", "sh", "A=1 x", "a; b", "$X", "if", ". x"])
def test_what_cannot_be_a_rule(text: str) -> None:
    assert parse_rule(text) is None


@pytest.mark.parametrize(
    ("script", "rule"),
    [
        ("pytest -q tests", "pytest"),
        ("cd /workspace && python -m pytest -q 2>&1 | tail -5", "python -m pytest"),
        ("python3 setup.py build", "python3 setup.py"),
        ("git commit -m x", "git commit"),
        ("git -C x log", "git"),
        ("pytest; rm -rf build", ""),
        ("python -c 'print(1)'", ""),
        ("cat calc.py", ""),
        ("bash run.sh", ""),
        ("pytest > out.txt", ""),
        ("for f in *; do rm $f; done", ""),
    ],
)
def test_the_rule_that_is_suggested(script: str, rule: str) -> None:
    assert suggest(script) == rule
