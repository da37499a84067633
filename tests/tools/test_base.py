"""The toolbox: schemas that never change, names that always lead somewhere, failures that are always results."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.errors import SandboxError
from tests.tools.attempts import Open
from tools.base import Call, TestCounts, Toolbox, ToolResult
from tools.bash import Bash
from tools.dialects import OPENHANDS
from tools.editor import Editor
from tools.submit import Submit
from tools.text import words


def test_the_schemas_are_small_complete_and_always_the_same(toolbox: Toolbox) -> None:
    text = json.dumps(toolbox.schemas(), separators=(",", ":"))
    assert len(text) / 3.6 <= 800
    assert [schema["function"]["name"] for schema in toolbox.schemas()] == [
        "bash",
        "str_replace_editor",
        "search",
        "run_tests",
        "plan",
        "submit",
    ]
    assert text == json.dumps(toolbox.schemas(), separators=(",", ":"))
    assert text == json.dumps(toolbox.schemas(), separators=(",", ":"), sort_keys=True)
    assert all(schema["function"]["description"] for schema in toolbox.schemas())


def test_another_dialect_shows_other_names() -> None:
    toolbox = Toolbox([Bash(), Editor(), Submit()], OPENHANDS)
    assert toolbox.names == ["execute_bash", "str_replace_editor", "finish"]
    for name in ("execute_bash", "bash"):
        call = toolbox.resolve(name, {"command": "ls"})
        assert isinstance(call, Call)
        assert call.tool.name == "bash"


def test_a_call_knows_whether_it_had_to_be_repaired(toolbox: Toolbox) -> None:
    asked = toolbox.resolve("bash", {"command": "ls"})
    meant = toolbox.resolve("execute_bash", {"cmd": "ls", "colour": "red"})
    assert isinstance(asked, Call)
    assert isinstance(meant, Call)
    assert (asked.repaired, meant.repaired) == (False, True)
    assert meant.ignored == ("colour",)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        (
            "teleport",
            {},
            "There is no such tool. Tools: bash, str_replace_editor, search, run_tests, plan, submit.",
        ),
        ("bash", {}, "bash: `command` is missing."),
        ("bash", {"command": "[{'default': 1}]"}, "bash: `command` is a data literal, not a shell command."),
        ("str_replace_editor", {"command": "create"}, "str_replace_editor: `path` is missing."),
    ],
)
def test_corrections_are_one_short_line(
    toolbox: Toolbox, name: str, arguments: dict[str, str], said: str
) -> None:
    assert toolbox.resolve(name, arguments) == ToolResult(said, ok=False)


def test_a_name_is_known_when_it_leads_to_a_tool_of_the_box(toolbox: Toolbox) -> None:
    for name in ("bash", "execute_bash", "str_replace </parameter", "think", "pytest"):
        assert toolbox.knows(name)
    assert not toolbox.knows("teleport")
    assert not Toolbox([Submit()]).knows("bash")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    sorted(words("command path file_text old new line view_range limit start_line pattern glob steps"))
)


@given(
    st.sampled_from(["bash", "edit", "view", "insert", "search", "run_tests", "plan", "submit", "git"])
    | st.text(),
    st.dictionaries(KEYS | st.text(max_size=8), VALUES, max_size=5) | st.text(max_size=30),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_call_whatever_its_shape_breaks_the_toolbox(
    toolbox: Toolbox, name: str, arguments: dict[str, object] | str
) -> None:
    resolved = toolbox.resolve(name, arguments)
    if isinstance(resolved, Call):
        assert set(resolved.arguments) <= set(resolved.tool.parameters["properties"])
        assert set(resolved.tool.parameters["required"]) <= set(resolved.arguments)
    else:
        assert resolved.text


def test_a_tool_that_is_not_in_the_box_does_not_exist() -> None:
    found = Toolbox([Submit()]).resolve("execute_bash", {"command": "ls"})
    assert isinstance(found, ToolResult)
    assert found.text == "There is no such tool. Tools: submit."


async def test_a_thought_is_taken_note_of(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    assert await toolbox.call("think", {"thought": "hm"}, context) == ToolResult("Noted.")


async def test_ignored_arguments_are_mentioned(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    result = await toolbox.call("bash", {"command": "echo a", "security_risk": "low"}, context)
    assert result.text == "a\n[unknown argument ignored: security_risk]"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("str_replace_editor", {"command": "view", "path": "nowhere/at/all.py"}),
        ("str_replace_editor", {"command": "create", "path": "a.py/b.py", "file_text": "x"}),
        ("str_replace_editor", {"command": "create", "path": "x" * 5_000, "file_text": "x"}),
        ("str_replace_editor", {"command": "view", "path": "a\0b"}),
        ("str_replace_editor", {"command": "view", "path": "\ud800"}),
        ("str_replace_editor", {"command": "create", "path": "n.txt", "file_text": "\ud800"}),
        ("str_replace_editor", {"command": "str_replace", "path": ".", "old_str": "a", "new_str": "b"}),
        ("search", {"pattern": "\ud800"}),
        ("search", {"pattern": "a\0b"}),
        ("search", {"pattern": "x", "path": "/etc"}),
        ("search", {"pattern": "x", "glob": "[" * 500}),
        ("run_tests", {"target": "a\0b"}),
        ("run_tests", {"target": "\ud800"}),
        ("run_tests", {"target": "/etc/passwd"}),
        ("bash", {"command": "\ud800"}),
        ("plan", {"steps": {}}),
        ("plan", {"steps": "\ud800"}),
    ],
)
async def test_bad_calls_are_results_that_can_be_sent(
    toolbox: Toolbox, attempt: Open, name: str, arguments: dict[str, str]
) -> None:
    context = await attempt({"a.py": "x = 1\n"})
    result = await toolbox.call(name, arguments, context)
    assert result.text
    result.text.encode()
    assert context.sandbox.workspace.changes() == []


async def test_nothing_that_leaves_the_room_can_steer_a_terminal(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a\x1b]0;x\x07.txt": "one \x1b[2J\u202e two\r\nthree\n"})
    calls: list[tuple[str, dict[str, object]]] = [
        ("str_replace_editor", {"command": "view", "path": "."}),
        ("str_replace_editor", {"command": "view", "path": "a\x1b]0;x\x07.txt"}),
        ("str_replace_editor", {"command": "view", "path": "b\x1b]0;x\x07.txt"}),
        ("search", {"pattern": "one"}),
        ("search", {"glob": "*.txt"}),
        (
            "str_replace_editor",
            {"command": "str_replace", "path": "a\x1b]0;x\x07.txt", "old_str": "one", "new_str": "1\x1bc"},
        ),
        ("run_tests", {"target": "a\x1b]0;x\x07"}),
        ("plan", {"steps": ["\x1b[2J"]}),
    ]
    for name, arguments in calls:
        result = await toolbox.call(name, arguments, context)
        assert not set("\x1b\x07\r\u202e") & set(result.text + result.diff), (name, arguments)


async def test_a_lost_sandbox_is_no_tool_failure(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    await context.sandbox.run("true", timeout=5)
    await context.sandbox.close()
    with pytest.raises(SandboxError):
        await toolbox.call("bash", {"command": "ls"}, context)


def test_counts_read_as_a_person_would_say_them() -> None:
    assert str(TestCounts(passed=3, failed=1)) == "1 failed, 3 passed"
    assert str(TestCounts()) == "no tests"
    assert TestCounts(passed=1, skipped=2).ok
    assert not TestCounts(skipped=2).ok


def test_importing_the_tools_loads_no_grammar_and_no_engine() -> None:
    code = (
        "import sys, tools.base, tools.bash, tools.editor, tools.search, tools.run_tests, tools.plan, tools.submit;"
        "print([name for name in ('tree_sitter', 'docker', 'git', 'openai', 'unidiff') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
