"""Whatever a model calls a tool, it reaches the one it means; only nonsense is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tools.dialects import DIALECTS, EDITOR, NEMOTRON, OPENHANDS, leading_identifier, route


@pytest.mark.parametrize(
    ("written", "identifier"),
    [
        ("bash", "bash"),
        ("str_replace </parameter", "str_replace"),
        ("functions.strReplaceEditor:0", "str_replace_editor"),
        ("<function=bash>", "bash"),
        ("grep -n", "grep"),
        ("Execute-Command", "execute_command"),
        ("  `view`", "view"),
        ("???", ""),
    ],
)
def test_debris_around_a_name_is_ignored(written: str, identifier: str) -> None:
    assert leading_identifier(written) == identifier


@pytest.mark.parametrize(
    ("name", "given", "tool", "arguments"),
    [
        ("bash", {"command": "ls"}, "bash", {"command": "ls"}),
        ("execute_bash", {"command": "ls"}, "bash", {"command": "ls"}),
        ("command", {"command": "ls"}, "bash", {"command": "ls"}),
        ("str_replace", {"path": "a"}, EDITOR, {"command": "str_replace", "path": "a"}),
        ("file_editor", {"command": "view", "path": "a"}, EDITOR, {"command": "view", "path": "a"}),
        ("read_file", {"path": "a"}, EDITOR, {"command": "view", "path": "a"}),
        ("cat", {"path": "a"}, EDITOR, {"command": "view", "path": "a"}),
        ("cat", {"command": "cat a"}, "bash", {"command": "cat a"}),
        (
            "write_file",
            {"path": "a", "content": "x"},
            EDITOR,
            {"command": "create", "path": "a", "content": "x"},
        ),
        ("grep -n", {"pattern": "x"}, "search", {"pattern": "x"}),
        ("grep -n", {"command": "grep -n x"}, "bash", {"command": "grep -n x"}),
        ("pytest", {"target": "t.py"}, "run_tests", {"target": "t.py"}),
        ("todo_write", {"todos": []}, "plan", {"todos": []}),
        ("finish", {"message": "ok"}, "submit", {"message": "ok"}),
        ("ls -la src", {}, "bash", {"command": "ls -la src"}),
        ("git", {"command": "status"}, "bash", {"command": "git status"}),
        ("git", {"command": "git status"}, "bash", {"command": "git status"}),
        ("mkdir", {"path": "a b"}, "bash", {"command": "mkdir 'a b'"}),
        ("think", {"thought": "hm"}, "", {"thought": "hm"}),
    ],
)
def test_made_up_names_lead_to_the_tool_that_is_meant(
    name: str, given: dict[str, Any], tool: str, arguments: dict[str, Any]
) -> None:
    found = route(name, given, NEMOTRON)
    assert found is not None
    assert (found.tool, found.arguments) == (tool, arguments)


def test_python_code_becomes_a_command() -> None:
    found = route("execute_ipython_cell", {"code": "print(1)"}, NEMOTRON)
    assert found is not None
    assert found.arguments["command"].startswith("python3 - <<'END_OF_CODE'\nprint(1)\n")


def test_a_name_that_means_nothing_leads_nowhere() -> None:
    assert route("teleport", {"to": "mars"}, NEMOTRON) is None
    assert route("", {}, NEMOTRON) is None


def test_arguments_may_come_as_json_text() -> None:
    found = route("bash", '{"command": "ls"}', NEMOTRON)
    assert found is not None
    assert found.arguments == {"command": "ls"}


def test_a_dialect_shows_its_own_names_and_understands_ours() -> None:
    assert DIALECTS["openhands"] is OPENHANDS
    assert OPENHANDS.shown("bash") == "execute_bash"
    for name in ("execute_bash", "bash"):
        found = route(name, {"command": "ls"}, OPENHANDS)
        assert found is not None
        assert found.tool == "bash"
