"""Which checkers a repository configures, how they are called, and how what they say is read."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from coder.workflows.gates.checkers import CHECKERS, Checker, Unreadable, brought, fitting

BY_NAME = {checker.name: checker for checker in CHECKERS}


def names(files: dict[str, str], *paths: str) -> list[str]:
    def read(name: str) -> bytes | None:
        return files[name].encode() if name in files else None

    return [checker.name for checker in fitting(read, paths)]


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        ({}, "a.py", []),
        ({"pyproject.toml": "[tool.ruff]\n[tool.mypy]"}, "a.py", ["ruff", "mypy"]),
        ({"pyproject.toml": "[tool.ruff]"}, "a.js", []),
        ({"pyproject.toml": "not toml ["}, "a.py", []),
        ({"ruff.toml": ""}, "a.py", ["ruff"]),
        ({"setup.cfg": "[flake8]\n[mypy]\n"}, "a.py", ["flake8", "mypy"]),
        ({"setup.cfg": "[metadata]\nname = x\n"}, "a.py", []),
        ({"setup.cfg": "no section"}, "a.py", []),
        ({"eslint.config.mjs": "", "tsconfig.json": ""}, "src/a.ts", ["eslint", "tsc"]),
        ({".eslintrc.json": "{}", "tsconfig.json": ""}, "src/a.js", ["eslint"]),
    ],
)
def test_a_checker_is_used_where_it_is_configured_and_has_something_to_say(
    files: dict[str, str], path: str, expected: list[str]
) -> None:
    assert names(files, path) == expected


SAID = {
    "ruff": json.dumps(
        [{"filename": "/workspace/a.py", "code": "F401", "message": "unused", "location": {"row": 9}}]
    ),
    "flake8": "./a.py:1:1: F401 unused\nsome banner\n",
    "eslint": json.dumps(
        [
            {
                "filePath": "/workspace/a.js",
                "messages": [
                    {"ruleId": "semi", "message": "Missing.", "severity": 2},
                    {"ruleId": "style", "message": "Only a warning.", "severity": 1},
                ],
            }
        ]
    ),
    "mypy": "a.py:3: error: Name is wrong  [name-defined]\na.py:4: note: See there\n",
    "tsc": "a.ts(3,7): error TS2322: Not a number.\n",
}
MEANT = {
    "ruff": ("a.py", "F401 unused"),
    "flake8": ("./a.py".removeprefix("./"), "F401 unused"),
    "eslint": ("a.js", "semi Missing."),
    "mypy": ("a.py", "Name is wrong  [name-defined]"),
    "tsc": ("a.ts", "TS2322: Not a number."),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_what_a_checker_says_is_read_without_line_numbers(name: str) -> None:
    assert BY_NAME[name].parse(SAID[name]) == Counter([MEANT[name]])


@pytest.mark.parametrize("text", ["{", "{}", "[1]", "[" * 100_000])
@pytest.mark.parametrize("name", ["ruff", "eslint"])
def test_what_is_no_report_is_said_to_be_none(name: str, text: str) -> None:
    with pytest.raises(Unreadable):
        BY_NAME[name].parse(text)


def test_only_what_is_new_counts() -> None:
    before = Counter({("a.py", "old"): 1})
    after = Counter({("a.py", "old"): 2, ("b.py", "new"): 1})
    assert brought(before, after) == ["a.py: old", "b.py: new"]
    assert brought(after, before) == []


def ran(checker: Checker, folder: Path, *paths: str) -> subprocess.CompletedProcess[str]:
    script = checker.command(paths, "/nowhere/python")
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize("name", ["eslint", "tsc"])
def test_a_node_tool_is_looked_for_in_node_modules(name: str, tmp_path: Path) -> None:
    assert ran(BY_NAME[name], tmp_path, "a.ts").returncode == 127
    program = tmp_path / "node_modules" / ".bin" / name
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    done = ran(BY_NAME[name], tmp_path, "it's.ts")
    assert done.returncode == 0
    assert ("it's.ts" in done.stdout) is not BY_NAME[name].whole
