"""Masking makes room in one step and keeps the newest results."""

from __future__ import annotations

from coder.agent.context import KEEP, MASK, Transcript
from coder.model import messages


def transcript(results: int) -> Transcript:
    made = Transcript(messages.system("s"), messages.user("task"))
    for number in range(results):
        made.append({"role": "assistant", "content": ""})
        made.append(messages.tool(f"c{number}", f"result {number}"))
    return made


def contents(made: Transcript) -> list[str]:
    return [message["content"] for message in made.messages if message["role"] == "tool"]


def test_the_older_results_are_blanked_and_the_newest_stay() -> None:
    made = transcript(KEEP + 3)
    assert made.mask() == 3
    assert contents(made) == [MASK] * 3 + [f"result {n}" for n in range(3, KEEP + 3)]


def test_when_that_is_not_enough_only_the_last_stays() -> None:
    made = transcript(KEEP)
    assert made.mask() == KEEP - 1
    assert contents(made) == [MASK] * (KEEP - 1) + [f"result {KEEP - 1}"]


def test_when_nothing_is_left_to_blank_it_says_so() -> None:
    assert transcript(0).mask() == 0
    assert transcript(1).mask() == 0


def test_the_calls_without_a_result_are_known() -> None:
    made = transcript(0)
    assert made.open_calls() == []
    calls = [{"id": "x", "function": {"name": "bash"}}, {"id": "x", "function": {"name": "search"}}]
    made.append({"role": "assistant", "content": "", "tool_calls": calls})
    assert made.open_calls() == [("x", "bash"), ("x", "search")]
    made.append(messages.tool("x", "done"))
    assert made.open_calls() == [("x", "search")]
    made.append(messages.tool("x", "done"))
    assert made.open_calls() == []
    made.append(messages.user("next"))
    assert made.open_calls() == []
