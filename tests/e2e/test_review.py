"""Engineer and reviewer, both scripted over HTTP: what is sent back, what counts, and what the journal tells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from coder.journal import load
from coder.review_events import Verdict
from tests.e2e.conftest import CALC, Coder, git
from tests.scripted_server import ScriptedServer, Turn

TESTS = """from calc import add, double


def test_add():
    assert add(2, 3) == 5


def test_double():
    assert double(4) == 8


def test_double_of_nothing():
    assert double(0) == 0
"""
BREAKS = "printf 'def add(a, b):\\n    return a + b\\n\\n\\ndef double(a):\\n    return add(a, a) or 1\\n' > calc.py"
POOR = "printf 'def add(a, b):\\n    return 5 if a == 2 else a - b\\n\\n\\ndef double(a):\\n    return a * 2\\n' > calc.py"
GOOD = "printf 'def add(a, b):\\n    return a + b\\n\\n\\ndef double(a):\\n    return a * 2\\n' > calc.py"
PROOF = "python -c 'from calc import add; assert add(2, 2) == 0 or add(2, 2) == 4, add(2, 2)'"
OBJECTION = {
    "file": "calc.py",
    "line": 2,
    "severity": "error",
    "reason": "only the test's own numbers are right",
    "quote": "    return 5 if a == 2 else a - b",
}


def bash(command: str) -> Turn:
    return Turn(calls=[("bash", {"command": command})])


TEST = Turn(calls=[("run_tests", {})])
SUBMIT = Turn(calls=[("submit", {"summary": "add added nothing"})])


def reported(verdict: str, *findings: dict[str, Any]) -> Turn:
    answer = {"verdict": verdict, "findings": list(findings), "summary": "as found"}
    return Turn(calls=[("report_review", answer)])


class Pair:
    """Both roles on one server, told apart by their tools: the engineer plays its turns, the reviewer one a round."""

    def __init__(self, engineer: Sequence[Turn], reviews: Sequence[Turn], samples: int = 3) -> None:
        self.engineer, self.reviews, self.samples = list(engineer), list(reviews), samples
        self.worked = self.reviewed = 0
        self.prompts: list[str] = []

    def __call__(self, body: dict[str, Any]) -> Turn:
        names = {tool["function"]["name"] for tool in body.get("tools", ())}
        if "report_review" in names:
            self.prompts.append(body["messages"][1]["content"])
            self.reviewed += 1
            return self.reviews[min((self.reviewed - 1) // self.samples, len(self.reviews) - 1)]
        self.worked += 1
        return self.engineer[min(self.worked, len(self.engineer)) - 1]


@pytest.fixture
def calc(repository: Path) -> Path:
    (repository / "calc.py").write_text(CALC)
    (repository / "test_calc.py").write_text(TESTS)
    git(repository, "commit", "-qam", "more tests")
    return repository


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    return [event for event in load(Path(result["journal"])) if isinstance(event, Verdict)]


def test_the_story_of_three_patches(calc: Path, coder: Coder) -> None:
    """The first breaks another test: a gate sends it back. The second is refused with proof. The third is approved."""
    pair = Pair(
        [bash(BREAKS), TEST, SUBMIT, bash(POOR), TEST, SUBMIT, bash(GOOD), TEST, SUBMIT],
        [reported("REQUEST_CHANGES", {**OBJECTION, "command": PROOF}), reported("APPROVE")],
    )
    with ScriptedServer([pair], model="scripted-model", after="repeat") as server:
        done = coder(server, "--reviewer")
    assert done.exit == 0, done.stderr
    assert "a + b" in done.result["patch"]
    first, second = verdicts(done.result)
    assert (first.verdict, first.round, first.overruled) == ("REQUEST_CHANGES", 1, False)
    assert first.findings[0].backed
    assert first.findings[0].proof.startswith(f"$ {PROOF}")
    assert first.findings[0].agreed == 3
    assert (second.verdict, second.round) == ("APPROVE", 2)
    assert done.result["evidence"]["review"]["verdict"] == "APPROVE"
    assert len(done.result["evidence"]["review"]["rounds"]) == 2
    told = [
        message["content"] for message in server.requests[-5].body["messages"] if message["role"] == "tool"
    ]
    heard = "\n".join(map(str, told))
    assert "does not pass the gate no-regressions" in heard
    assert "The reviewer asks for changes" in heard
    assert "only the test's own numbers are right" in heard


def test_the_reviewer_sees_the_change_and_not_the_way_to_it(calc: Path, coder: Coder) -> None:
    pair = Pair([bash(f"echo secret-thought; {GOOD}"), TEST, SUBMIT], [reported("APPROVE")])
    with ScriptedServer([pair], model="scripted-model", after="repeat") as server:
        assert coder(server, "--reviewer").exit == 0
    assert len(pair.prompts) == 3
    assert len(set(pair.prompts)) == 1, "one prompt, so that the server's cache serves all samples"
    assert "    2+     return a + b" in pair.prompts[0]
    assert "     -     return a - b" in pair.prompts[0]
    assert "Tests after the change: 3 pass, 0 fail" in pair.prompts[0]
    assert "secret-thought" not in pair.prompts[0]


@pytest.mark.parametrize(
    "objection",
    [
        {**OBJECTION, "quote": "return everything", "reason": "I feel that this is wrong"},
        {**OBJECTION, "quote": "", "command": "false"},
        {**OBJECTION, "quote": "", "command": "python -c 'import calc; assert calc.add(2, 3) == 5'"},
        {**OBJECTION, "quote": "    return a + b", "severity": "note"},
    ],
    ids=["quotes-nothing", "always-fails", "passes", "only-a-note"],
)
def test_an_unbacked_refusal_is_overruled_and_recorded(
    calc: Path, coder: Coder, objection: dict[str, Any]
) -> None:
    pair = Pair([bash(GOOD), TEST, SUBMIT], [reported("REQUEST_CHANGES", objection)])
    with ScriptedServer([pair], model="scripted-model", after="repeat") as server:
        done = coder(server, "--reviewer")
    assert done.exit == 0, done.stderr
    (verdict,) = verdicts(done.result)
    assert (verdict.verdict, verdict.overruled) == ("APPROVE", True)
    assert done.result["evidence"]["review"]["rounds"][0]["overruled"]
    assert verdict.findings[0].reason == objection["reason"]


def test_a_quotation_counts_when_half_of_the_reviews_point_there(calc: Path, coder: Coder) -> None:
    quoted = {**OBJECTION, "quote": "return a + b", "reason": "strings are joined"}
    reviews = [reported("REQUEST_CHANGES", quoted), reported("APPROVE"), reported("APPROVE")]
    with ScriptedServer(
        [Pair([bash(GOOD), TEST, SUBMIT], reviews, samples=1)], model="scripted-model", after="repeat"
    ) as server:
        done = coder(server, "--reviewer")
    assert done.exit == 0, done.stderr
    (verdict,) = verdicts(done.result)
    assert (verdict.findings[0].agreed, verdict.findings[0].samples, verdict.findings[0].backed) == (
        1,
        3,
        False,
    )


def test_a_change_that_stays_refused_is_no_success(calc: Path, coder: Coder) -> None:
    pair = Pair(
        [bash(POOR), TEST, SUBMIT, TEST, SUBMIT],
        [reported("REQUEST_CHANGES", {**OBJECTION, "command": PROOF})],
    )
    with ScriptedServer([pair], model="scripted-model", after="repeat") as server:
        done = coder(server, "--reviewer")
    assert (done.exit, done.result["reason"]) == (1, "review")
    assert pair.worked <= 8
    assert "return 5 if" in done.result["patch"], "it is kept for the user to look at"


def test_words_that_are_no_review_are_asked_for_once_more(calc: Path, coder: Coder) -> None:
    pair = Pair([bash(GOOD), TEST, SUBMIT], [Turn(text="Looks fine to me!"), reported("APPROVE")], samples=1)
    with ScriptedServer([pair], model="scripted-model", after="repeat") as server:
        done = coder(server, "--reviewer")
    assert done.exit == 0, done.stderr
    assert pair.reviewed == 4


def test_without_a_reviewer_nobody_is_asked(calc: Path, coder: Coder) -> None:
    pair = Pair([bash(GOOD), TEST, SUBMIT], [reported("REQUEST_CHANGES", OBJECTION)])
    with ScriptedServer([pair], model="scripted-model", after="repeat") as server:
        done = coder(server)
    assert done.exit == 0
    assert pair.reviewed == 0
    assert json.loads(json.dumps(done.result["evidence"]["review"])) is None
