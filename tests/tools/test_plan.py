"""Plans in every shape that models write them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tools.attempts import Open
from tools.base import Step, Toolbox


@pytest.mark.parametrize(
    "steps",
    [
        [{"text": "read", "done": True}, {"text": "fix", "done": False}],
        ["[x] read", "[ ] fix"],
        ["- [x] read", "- [ ] fix"],
        "1. [x] read\n2. fix\n",
        [{"title": "read", "status": "completed"}, {"content": "fix", "status": "in_progress"}],
        '[{"text": "read", "done": true}, {"text": "fix"}]',
        ["✓ read", "fix"],
    ],
)
async def test_a_plan_is_kept_and_rendered(toolbox: Toolbox, attempt: Open, steps: Any) -> None:
    context = await attempt({})
    result = await toolbox.call("plan", {"steps": steps}, context)
    assert result.text == "[x] read\n[ ] fix"
    assert result.plan == context.plan == (Step("read", done=True), Step("fix"))


async def test_an_empty_plan_is_refused_and_the_old_one_stays(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    await toolbox.call("plan", {"steps": ["a"]}, context)
    assert not (await toolbox.call("plan", {"steps": ["", {}]}, context)).ok
    assert context.plan == (Step("a"),)


async def test_a_plan_stays_small(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({})
    result = await toolbox.call("plan", {"steps": ["word " * 100 + "\x1b[31m"] * 50}, context)
    assert len(context.plan) == 20
    assert len(result.text) < 4_000
    assert "only 20 steps are kept" in result.text
