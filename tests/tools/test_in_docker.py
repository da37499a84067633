"""The whole way through an attempt, with the other sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.base import Policy
from sandbox.docker import Docker
from tests.tools.attempts import make_workspace
from tools.base import Context, TestCounts, Toolbox

pytestmark = pytest.mark.docker

FILES: dict[str, str | bytes] = {
    "shop/cart.py": "def total(prices):\n    return sum(prices) + 1\n",
    "tests/test_cart.py": "from shop.cart import total\n\n\ndef test_total():\n    assert total([2, 3]) == 5\n",
}


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[Context]:
    workspace = make_workspace(tmp_path, FILES)
    sandbox = Docker(workspace, Policy(memory_mb=1024), image="coder-sandbox:base")
    await sandbox.start()
    yield Context(sandbox=sandbox, command_timeout=60)
    await sandbox.close()
    workspace.close()


async def test_search_edit_test_and_submit(toolbox: Toolbox, context: Context) -> None:
    before = await toolbox.call("run_tests", {}, context)
    assert before.tests == TestCounts(failed=1)
    assert "FAILED tests/test_cart.py::test_total" in before.text

    found = await toolbox.call("search", {"pattern": "def total"}, context)
    assert found.text == "shop/cart.py\n     1: def total(prices):"
    assert context.ripgrep_inside

    edit = {"command": "str_replace", "path": "shop/cart.py", "old_str": " + 1", "new_str": ""}
    assert (await toolbox.call("str_replace_editor", edit, context)).ok
    shown = await toolbox.call("bash", {"command": "git diff --stat; whoami; touch shop/new.txt"}, context)
    assert "shop/cart.py" in shown.text

    after = await toolbox.call("run_tests", {"target": "tests/test_cart.py::test_total"}, context)
    assert after.tests == TestCounts(passed=1)
    done = await toolbox.call("submit", {"summary": "total added one too many"}, context)
    assert done.finished
    changed = [change.path for change in context.sandbox.workspace.changes()]
    assert changed == ["shop/cart.py", "shop/new.txt"]
