"""The page of a run's record: it tells everything, and nothing in it is markup but ours."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.workflows.record_page import as_markdown, block, code

HOSTILE = "@everyone closes #1 | <img src=http://x> [a](http://x) ```` \x1b[2J \u202e"


def record(**changes: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "run": "20260101-000000-ab",
        "task": "add is wrong",
        "workflow": "fix",
        "status": "solved",
        "reason": "submitted",
        "sentence": "every gate was passed",
        "summary": "add subtracted",
        "base": "0" * 40,
        "model": {
            "name": "m",
            "server": "vllm at http://127.0.0.1",
            "profile": "p",
            "strategy": "agent",
            "context_length": 8192,
        },
        "tests_before": {
            "passed": 1,
            "failed": 1,
            "failing": ["test_calc.py::test_add"],
            "output": "E assert",
        },
        "tests_after": {"passed": 2, "failed": 0, "failing": []},
        "gates": [{"name": "fixed", "outcome": "passed", "passed": True, "detail": "1 test passes"}],
        "review": None,
        "flagged": [],
        "hashes": {"base": "b" * 40, "patch": "p" * 64, "tests": "t" * 64},
        "budgets": {
            "turns": [6, 100],
            "seconds": [3.0, 3600.0],
            "spent": {"turns": 6},
            "thinking": {},
            "elapsed": 3.2,
        },
        "reproduce": ["git checkout 0", "python -m pytest", "git apply patch.diff", "python -m pytest"],
        **changes,
    }


def test_a_good_change_is_told_from_its_failure_to_its_hashes() -> None:
    page = as_markdown(record())
    for part in (
        "passed every gate",
        "1 passed, 1 failed",
        "`test_calc.py::test_add`",
        "2 passed, 0 failed",
        "| `fixed` | ✅ passed |",
        "6 turns of 100",
        "git apply patch.diff",
        "p" * 64,
    ):
        assert part in page


def test_a_gate_that_failed_shows_what_it_printed() -> None:
    gate = {"name": "lint", "outcome": "failed", "passed": False, "detail": "2 new", "output": "F401 unused"}
    page = as_markdown(record(status="unsolved", sentence="the change failed a gate", gates=[gate]))
    assert "not accepted" in page
    assert "❌ failed" in page
    assert "F401 unused" in page


def outside_code(page: str) -> str:
    """What a Markdown renderer would read as text: fences first, then spans, as CommonMark 0.31 has them."""
    page = re.sub(r"(?ms)^(`{3,})[^\n`]*\n.*?^\1`*$", "", page)
    return re.sub(r"(?s)(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", page)


@pytest.mark.parametrize("field", ["task", "summary", "sentence"])
def test_strange_words_stay_in_code(field: str) -> None:
    page = as_markdown(record(status="unsolved", **{field: HOSTILE}))
    assert "@everyone" not in outside_code(page)
    assert "<img" not in outside_code(page)
    assert "\x1b" not in page
    assert "\u202e" not in page


@given(st.text())
def test_no_text_ends_its_span_or_its_block(text: str) -> None:
    assert "\n" not in code(text)
    assert "|" not in code(text)
    assert outside_code(f"{code(text + '@x')}\n").strip() == ""
    assert outside_code(f"{block(text + '@x')}\n").strip() == ""
