"""The loop against a scripted model: what it hears, and how an attempt ends."""

from __future__ import annotations

import pytest

from coder import events
from coder.errors import LimitReached
from tests.agent.conftest import Play
from tests.scripted_server import Turn


def bash(command: str) -> Turn:
    return Turn(calls=[("bash", {"command": command})])


EDIT = Turn(
    calls=[
        (
            "str_replace_editor",
            {"command": "str_replace", "path": "calc.py", "old_str": "a - b", "new_str": "a + b"},
        )
    ]
)
CHECK = bash("python3 -c 'import calc; assert calc.add(1, 1) == 2'")
SUBMIT = Turn(calls=[("submit", {"summary": "done"})])


async def test_it_ends_when_the_model_submits_tested_work(play: Play) -> None:
    played = await play([bash("cat calc.py"), EDIT, CHECK, SUBMIT])
    assert (played.ending.reason, played.ending.summary) == ("submitted", "done")
    assert b"a + b" in played.context.sandbox.workspace.read("calc.py")


async def test_several_calls_in_one_answer_run_in_order(play: Play) -> None:
    both = Turn(calls=[("bash", {"command": "echo 1 > f"}), ("bash", {"command": "cat f"})])
    played = await play([both, EDIT, CHECK, SUBMIT])
    assert played.results()[1].startswith("1")


async def test_submitting_untested_work_is_refused_and_the_model_hears_why(play: Play) -> None:
    played = await play([EDIT, SUBMIT, CHECK, SUBMIT])
    assert "Run the tests" in played.results()[1]
    assert played.ending.reason == "submitted"


async def test_the_finish_gate_can_send_the_model_back(play: Play) -> None:
    answers = iter(["Not yet.", ""])

    async def gate() -> str:
        return next(answers)

    played = await play([EDIT, CHECK, SUBMIT, bash("echo more"), SUBMIT], gate=gate)
    assert "Not yet." in played.results()
    assert played.ending.reason == "submitted"


async def test_a_note_rides_on_the_next_tool_result(play: Play) -> None:
    played = await play([bash("echo hi"), EDIT, CHECK, SUBMIT], note="[news]")
    assert played.results()[0].endswith("[news]")
    assert [m["role"] for m in played.bodies[-1]["messages"][:4]] == ["system", "user", "assistant", "tool"]


async def test_a_first_circle_is_answered_with_a_nudge_a_second_with_a_clean_start(play: Play) -> None:
    played = await play([bash("ls")] * 8 + [EDIT, CHECK, SUBMIT])
    nudge = played.bodies[4]["messages"][-1]["content"]
    assert "the same call with the same result 4 times" in nudge
    assert len(played.bodies[8]["messages"]) == 2
    assert "An earlier attempt stopped at" in played.bodies[8]["messages"][1]["content"]
    assert played.ending.reason == "submitted"


async def test_a_third_circle_ends_the_attempt(play: Play) -> None:
    played = await play([bash("ls")])
    assert played.ending.reason == "stuck"
    assert len(played.bodies) == 12


async def test_three_answers_without_a_call_end_the_attempt(play: Play) -> None:
    played = await play([Turn(text="I think it is fine.")])
    assert (played.ending.reason, len(played.bodies)) == ("no_tool_call", 3)


async def test_a_call_between_them_starts_the_count_anew(play: Play) -> None:
    words = Turn(text="Let me think.")
    played = await play([words, words, bash("ls"), words, words, EDIT, CHECK, SUBMIT])
    assert played.ending.reason == "submitted"


async def test_an_unreadable_call_gets_an_answer_and_is_not_run(play: Play) -> None:
    played = await play([Turn(calls=[("bash", '{"command": "touch made')]), EDIT, CHECK, SUBMIT])
    assert played.results()[0].startswith("The call could not be read")
    assert not played.context.sandbox.workspace.exists("made")


async def test_the_cap_on_turns_holds(play: Play) -> None:
    with pytest.raises(LimitReached, match="5 turns"):
        await play([bash("ls"), bash("pwd"), bash("id")], turns_allowed=5)


async def test_a_change_makes_a_checkpoint_and_looking_does_not(play: Play) -> None:
    played = await play([bash("ls"), EDIT, bash("echo x > new.txt"), CHECK, SUBMIT])
    paths = [event.paths for event in played.seen if isinstance(event, events.Checkpoint)]
    assert paths == [("calc.py",), ("new.txt",)]


async def test_the_plan_is_told(play: Play) -> None:
    steps = [{"text": "look", "done": True}, {"text": "mend", "done": False}]
    played = await play([Turn(calls=[("plan", {"steps": steps})]), EDIT, CHECK, SUBMIT])
    (updated,) = [event for event in played.seen if isinstance(event, events.PlanUpdated)]
    assert updated.steps == (("look", True), ("mend", False))


async def test_code_without_a_call_is_answered_with_how_it_reaches_its_file(play: Play) -> None:
    played = await play([Turn(text="```python\ndef add(a, b): ...\n```"), EDIT, CHECK, SUBMIT])
    assert "code in an answer changes no file" in played.bodies[1]["messages"][-1]["content"]
    assert played.ending.reason == "submitted"
