"""Arguments under other names and in other types are put right; what cannot be is said in one short line."""

from __future__ import annotations

from typing import Any

import pytest

from tools.arguments import Fitted, fit
from tools.base import Tool
from tools.bash import Bash
from tools.editor import Editor
from tools.plan import Plan
from tools.run_tests import RunTests
from tools.search import Search
from tools.submit import Submit


def fitted(tool: Tool, given: dict[str, Any]) -> dict[str, Any]:
    result = fit(tool.name, tool.parameters, given)
    assert isinstance(result, Fitted), result
    return result.arguments


def refusal(tool: Tool, given: dict[str, Any]) -> str:
    result = fit(tool.name, tool.parameters, given)
    assert isinstance(result, str)
    return result


@pytest.mark.parametrize(
    ("tool", "given", "meant"),
    [
        (Bash(), {"cmd": "ls"}, {"command": "ls"}),
        (Bash(), {"command": "ls", "timeout": "60"}, {"command": "ls", "timeout": 60.0}),
        (Bash(), {"command": "ls", "timeout": None}, {"command": "ls"}),
        (Bash(), {"command": "ls", "timeout": ""}, {"command": "ls"}),
        (Bash(), {"command": ["bash", "-lc", "ls -l"]}, {"command": "ls -l"}),
        (Bash(), {"command": ["grep", "a b", "c"]}, {"command": "grep 'a b' c"}),
        (Bash(), {"command": "```bash\nls\n```"}, {"command": "ls"}),
        (Bash(), {"command": '{"command": "ls"}'}, {"command": "ls"}),
        (Bash(), {"command": "ls</parameter>\n</function>"}, {"command": "ls"}),
        (Bash(), {"whatever": "ls"}, {"command": "ls"}),
        (Bash(), {"": "ls"}, {"command": "ls"}),
        (Editor(), {"command": "view", "file_path": " `a.py`\n"}, {"command": "view", "path": "a.py"}),
        (Editor(), {"command": "read", "path": "a"}, {"command": "view", "path": "a"}),
        (Editor(), {"path": "a"}, {"command": "view", "path": "a"}),
        (
            Editor(),
            {"path": "a", "old_string": "x", "newString": "y"},
            {"command": "str_replace", "path": "a", "old_str": "x", "new_str": "y"},
        ),
        (Editor(), {"path": "a", "content": "x"}, {"command": "create", "path": "a", "file_text": "x"}),
        (
            Editor(),
            {"command": "create", "path": "a.json", "file_text": {"a": 1}},
            {"command": "create", "path": "a.json", "file_text": '{\n  "a": 1\n}'},
        ),
        (
            Editor(),
            {"command": "insert", "path": "a", "line": "3", "text": "x"},
            {"command": "insert", "path": "a", "insert_line": 3, "new_str": "x"},
        ),
        (
            Editor(),
            {"path": "a", "view_range": "[1, 20]"},
            {"command": "view", "path": "a", "view_range": [1, 20]},
        ),
        (
            Editor(),
            {"path": "a", "view_range": "5-9"},
            {"command": "view", "path": "a", "view_range": [5, 9]},
        ),
        (Editor(), {"path": "a", "view_range": []}, {"command": "view", "path": "a"}),
        (
            Editor(),
            {"path": "a", "start_line": 5, "end_line": 9},
            {"command": "view", "path": "a", "view_range": [5, 9]},
        ),
        (
            Editor(),
            {"path": "a", "offset": 10, "limit": "5"},
            {"command": "view", "path": "a", "view_range": [10, 14]},
        ),
        (
            Search(),
            {"query": "x", "dir": "src", "include": "*.py"},
            {"pattern": "x", "path": "src", "glob": "*.py"},
        ),
        (RunTests(), {"path": "t.py"}, {"target": "t.py"}),
        (RunTests(), {}, {}),
        (Plan(), {"todos": ["a", "b"]}, {"steps": ["a", "b"]}),
        (Plan(), {"steps": "a\nb"}, {"steps": ["a", "b"]}),
        (Submit(), {"message": "done"}, {"summary": "done"}),
        (Submit(), {"give_up": "true", "reason": "r"}, {"summary": "r", "give_up": True}),
    ],
)
def test_what_is_meant_is_understood(tool: Tool, given: dict[str, Any], meant: dict[str, Any]) -> None:
    assert fitted(tool, given) == meant


@pytest.mark.parametrize("literal", ["[{'default': None}]", "[]", '{"a": 1}', "{'type': 'x', 'n': [1]}"])
def test_a_data_literal_is_no_command(literal: str) -> None:
    assert refusal(Bash(), {"command": literal}) == "`command` is a data literal, not a shell command."


@pytest.mark.parametrize("command", ["[ -f x ] && echo y", "{ ls; }", "(cd a && ls)", "[[ a == b ]]"])
def test_shell_brackets_are_commands(command: str) -> None:
    assert fitted(Bash(), {"command": command}) == {"command": command}


def test_what_is_missing_is_named() -> None:
    assert refusal(Bash(), {}) == "`command` is missing."
    assert refusal(Editor(), {"command": "view"}) == "`path` is missing."


def test_what_does_not_fit_is_named_with_what_would() -> None:
    assert refusal(Editor(), {"command": "fly", "path": "a"}).startswith(
        "`command` must be one of view, create"
    )
    assert refusal(Editor(), {"path": "a", "insert_line": "top"}) == "`insert_line` must be a whole number."
    assert refusal(Editor(), {"path": "a", "view_range": "all"}) == "`view_range` must be a list."
    assert refusal(Bash(), {"command": "ls", "timeout": "1e400"}) == "`timeout` must be a number."


def test_code_is_never_trimmed() -> None:
    text = "\n  x = '</parameter>'\n\n"
    assert fitted(Editor(), {"path": "a", "file_text": text})["file_text"] == text


@pytest.mark.timeout(5)
def test_endless_white_space_is_handled_quickly() -> None:
    command = "ls" + " \n" * 200_000 + "x"
    assert fitted(Bash(), {"command": command}) == {"command": command}


def test_an_exact_name_wins_over_a_synonym() -> None:
    result = fit("bash", Bash().parameters, {"script": "b", "command": "a"})
    assert isinstance(result, Fitted)
    assert result.arguments == {"command": "a"}
    assert result.ignored == ("script",)
