"""What people and programs are told about a run."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from coder import events, headless
from coder.events import RunFinished, Spent
from coder.transcript import words

SOLVED = RunFinished(
    status="solved",
    reason="submitted",
    sentence="every gate was passed",
    exit=0,
    run="r1",
    patch="--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n",
    summary="The bound was off by one.",
    evidence={
        "tests_before": {"passed": 1, "failed": 1},
        "tests_after": {"passed": 2, "failed": 0},
        "gates": [],
        "review": None,
        "flagged": ["Makefile"],
    },
    spent=Spent(requests=2, prompt_tokens=30, completion_tokens=4, turns=2),
    timings={"seconds": 1.5},
)


def test_json_has_the_contract_s_keys() -> None:
    found = json.loads(headless.as_json(SOLVED, Path("/j")))
    assert {
        "version",
        "run",
        "status",
        "reason",
        "patch",
        "summary",
        "evidence",
        "usage",
        "timings",
        "journal",
    } <= set(found)
    assert set(found["evidence"]) >= {"tests_before", "tests_after", "gates", "review"}
    assert found["usage"] == {
        "requests": 2,
        "prompt_tokens": 30,
        "cached_tokens": 0,
        "completion_tokens": 4,
        "thinking_tokens": 0,
        "tool_calls": 0,
        "turns": 2,
    }


def test_a_sandbox_is_spoken_of_only_where_something_is_not_enforced() -> None:
    held = events.Promise(name="network", enforced=True, how="a namespace", seen="nothing but lo")
    stated = events.Promise(name="cpu", enforced=False, how="not limited")
    tried = events.Promise(name="memory", enforced=False, how="for each process", seen="288 MB together")
    told = [
        headless.describe(events.Guaranteed(sandbox="bubblewrap", promises=p))
        for p in ((held,), (held, stated, tried))
    ]
    assert told == ["", "  sandbox  not enforced: cpu (not limited), memory (288 MB together)"]


def test_text_says_how_it_ended_what_the_tests_said_and_what_runs_later() -> None:
    text = headless.as_text(SOLVED, Path("/p/patch.diff"))
    assert text.startswith("Solved: every gate was passed.\n")
    assert "tests before: 1 passed, 1 failed" in text
    assert "+b" in text
    assert "runs later on your machine: Makefile" in text
    assert "/p/patch.diff" in text


@pytest.mark.parametrize(
    "status", ["solved", "unsolved", "limit", "model", "sandbox", "usage", "interrupted"]
)
def test_every_status_has_words_of_its_own(status: str) -> None:
    assert words.OUTCOME[status]


HOSTILE = "\x1b[2J\x1b]52;c;aGk=\x07\x9b31m\u202e"


def test_nothing_hostile_reaches_the_terminal_raw() -> None:
    stream = io.StringIO()
    progress = headless.Progress(stream, verbose=True)
    for event in (
        events.RunStarted(task=HOSTILE, workflow="fix", repository=HOSTILE),
        events.AssistantMessage(text=HOSTILE),
        events.ToolFinished(call="c", name=HOSTILE, text=HOSTILE, diff=HOSTILE),
        events.GateFinished(name="g", passed=False, detail=HOSTILE),
        events.Warning(text=HOSTILE),
        events.NetworkAttempt(host=HOSTILE, port=1, allowed=False, why=HOSTILE),
    ):
        progress(event)
    finished = RunFinished(
        status="unsolved", reason="", sentence=HOSTILE, exit=1, patch=HOSTILE, summary=HOSTILE
    )
    shown = stream.getvalue() + headless.as_text(finished, None)
    assert not set(shown) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert shown.count("52;c;aGk=") >= 5


def test_a_gate_and_a_failing_tool_are_marked() -> None:
    assert headless.describe(events.GateFinished(name="fixed", passed=True, detail="d")) == "  ✓ fixed: d"
    assert "✗" in headless.describe(events.ToolFinished(call="c", name="bash", text="", ok=False))


def test_deltas_make_no_lines() -> None:
    assert headless.describe(events.TextDelta(text="x")) == ""
