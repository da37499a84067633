"""What the model reads after a test run: failures first, short, the counts last."""

from __future__ import annotations

import pytest

from tests.tools.attempts import QUICK, Open
from tools.base import Context, TestCounts, Toolbox, ToolResult
from tools.junit import TestCase, TestReport
from tools.run_tests import summarize
from tools.testing import TestRun

CART = "def total(prices):\n    return sum(prices) + 1\n"
TEST = """\
from cart import total


def test_empty():
    assert total([]) == 0


def test_type():
    assert isinstance(total([]), int)
"""


async def run(toolbox: Toolbox, context: Context, target: str = "") -> ToolResult:
    return await toolbox.call("run_tests", {"target": target}, context)


async def test_a_failure_comes_with_its_traceback_and_the_counts_last(
    toolbox: Toolbox, attempt: Open
) -> None:
    context = await attempt({"cart.py": CART, "test_cart.py": TEST})
    result = await run(toolbox, context)
    lines = result.text.split("\n")
    assert lines[0] == "FAILED test_cart.py::test_empty"
    assert "E   assert 1 == 0" in lines
    assert lines[-1].startswith("1 failed, 1 passed in ")
    assert (result.ok, result.exit) == (False, 1)
    assert result.tests == context.last_tests == TestCounts(passed=1, failed=1)


async def test_success_is_one_line_and_counts_as_a_check(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"cart.py": CART, "test_cart.py": TEST})
    context.note_edit()
    result = await run(toolbox, context, "test_cart.py::test_type")
    assert result.ok
    assert result.text.startswith("1 passed in ")
    assert context.edits_since_check == 0


@pytest.mark.parametrize(
    ("target", "passed"),
    [
        ("/workspace/test_a.py", 2),
        ("test_a.py test_b.py", 3),
        ("-k one", 2),
        ("sub", 1),
        ("test_a.py::test_one", 1),
    ],
)
async def test_targets_in_the_ways_that_models_write_them(
    toolbox: Toolbox, attempt: Open, target: str, passed: int
) -> None:
    two = "def test_one():\n    pass\n\n\ndef test_two():\n    pass\n"
    one = "def test_one():\n    pass\n"
    context = await attempt(
        {"test_a.py": two, "test_b.py": one, "sub/test_c.py": "def test_c():\n    pass\n"}
    )
    result = await run(toolbox, context, target)
    assert result.tests == TestCounts(passed=passed)


async def test_a_target_that_is_not_there_is_not_run(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"tests/test_cart.py": "def test_a():\n    pass\n"})
    context.note_edit()
    result = await run(toolbox, context, "test_cart.py")
    assert result.text == "test_cart.py does not exist. Did you mean tests/test_cart.py?"
    assert context.edits_since_check == 1


async def test_the_configured_command_is_used_and_its_paths_give_way_to_a_target(
    toolbox: Toolbox, attempt: Open
) -> None:
    test = "import os\n\ndef test_a():\n    assert os.environ['MODE'] == 'x'\n"
    context = await attempt({"tests/test_a.py": test, "more/test_b.py": test})
    context.test_command = f"MODE=x {QUICK} tests"
    assert (await run(toolbox, context)).tests == TestCounts(passed=1)
    assert (await run(toolbox, context, "more")).tests == TestCounts(passed=1)


async def test_any_other_command_shows_its_output(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"check.sh": "echo broken; exit 1\n"})
    context.test_command = "bash check.sh"
    context.note_edit()
    result = await run(toolbox, context, "x")
    assert result.text.startswith("broken\nexit status 1 in ")
    assert result.text.endswith("takes no target; everything ran]")
    assert context.edits_since_check == 0


async def test_a_run_that_proves_nothing_is_no_check(toolbox: Toolbox, attempt: Open) -> None:
    context = await attempt({"test_a.py": "import os\n\ndef test_a():\n    os._exit(0)\n"})
    context.note_edit()
    result = await run(toolbox, context)
    assert not result.ok
    assert "pytest ended with exit status 0 and no report" in result.text
    assert context.edits_since_check == 1


def test_many_long_failures_stay_within_bounds() -> None:
    cases = tuple(
        TestCase(f"t.py::test_{number}", "failed", 0.1, "m", "line of a trace\n" * 500)
        for number in range(300)
    )
    done = TestRun(report=TestReport(cases), exit=1, seconds=1.0, output="")
    text = summarize(done)
    assert len(text) <= 6_000
    assert text.endswith("… 275 more\n300 failed in 1.0 s")
    assert text.count("FAILED") == 25


def test_hostile_names_and_traces_are_made_harmless() -> None:
    cases = (TestCase("t.py::test[\x1b]0;x\x07]", "error", 0.1, "m", "\x1b[2J\x1b]52;c;x\x07trace"),)
    text = summarize(TestRun(report=TestReport(cases), exit=1, seconds=1.0, output=""))
    assert "\x1b" not in text
    assert "\ntrace\n" in text
