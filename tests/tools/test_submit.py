"""The finish gate: something changed, something ran after it, or an honest reason to stop."""

from __future__ import annotations

from tests.tools.attempts import Open
from tools.base import Toolbox

TEST = "from a import x\n\n\ndef test_x():\n    assert x == 2\n"


async def test_an_unchanged_workspace_cannot_be_submitted(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": "x = 1\n"})
    result = await toolbox.call("submit", {}, context)
    assert (result.ok, result.finished) == (False, False)
    assert "nothing has been changed" in result.text


async def test_an_untested_edit_cannot_be_submitted_a_tested_one_can(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": "x = 1\n", "test_a.py": TEST})
    edit = {"command": "str_replace", "path": "a.py", "old_str": "1", "new_str": "2"}
    await toolbox.call("str_replace_editor", edit, context)
    refused = await toolbox.call("submit", {"summary": "done"}, context)
    assert not refused.finished
    assert "after the last edit" in refused.text
    await toolbox.call("run_tests", {}, context)
    result = await toolbox.call("submit", {"summary": "x is 2"}, context)
    assert (result.ok, result.finished, result.text) == (True, True, "x is 2")


async def test_an_edit_that_was_undone_leaves_nothing_to_submit(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": "x = 1\n"})
    for arguments in (
        {"command": "str_replace", "path": "a.py", "old_str": "1", "new_str": "2"},
        {"command": "undo_edit", "path": "a.py"},
    ):
        await toolbox.call("str_replace_editor", arguments, context)
    assert "nothing has been changed" in (await toolbox.call("submit", {}, context)).text


async def test_giving_up_needs_a_reason(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": "x = 1\n"})
    await toolbox.call("bash", {"command": "echo 'x = 2' > a.py"}, context)
    assert not (await toolbox.call("submit", {"give_up": True}, context)).finished
    result = await toolbox.call(
        "submit", {"give_up": True, "summary": "the server is closed source"}, context
    )
    assert (result.ok, result.finished) == (False, True)


async def test_giving_up_without_an_edit_is_asked_back_once(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"a.py": "x = 1\n"})
    gives_up = {"give_up": True, "summary": "the bug was fixed"}
    first = await toolbox.call("submit", gives_up, context)
    assert not first.finished
    assert "no file was edited" in first.text
    assert (await toolbox.call("submit", gives_up, context)).finished


async def test_a_task_without_a_change_or_a_test_can_end(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    context.needs_change = context.needs_check = False
    assert (await toolbox.call("submit", {}, context)).finished
