"""What the loop's talk with the model keeps to: levels of thinking, room in the context, the prefix cache."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coder import events
from coder.errors import ContextOverflow
from coder.model.roles import Levels
from coder.model.thinking import Thinking
from tests.agent.conftest import Play
from tests.scripted_server import ScriptedServer, Turn, gives_up

LEVELS = Levels(diagnosis=Thinking(4000), routine=Thinking(300))
EDIT = Turn(
    calls=[
        (
            "str_replace_editor",
            {"command": "str_replace", "path": "calc.py", "old_str": "a - b", "new_str": "a + b"},
        )
    ]
)
LONG = "x = 1  # a line of a long file\n" * 300


def bash(command: str, **more: Any) -> Turn:
    return Turn(calls=[("bash", {"command": command})], **more)


CHECK = bash("python3 -c 'import calc; assert calc.add(1, 1) == 2'")
SUBMIT = Turn(calls=[("submit", {"summary": "done"})])
GIVE_UP = gives_up("no")


async def test_it_thinks_fully_at_first_and_after_a_failure_and_less_at_routine_steps(play: Play) -> None:
    turns = [bash("cat calc.py"), bash("false"), EDIT, SUBMIT, CHECK, SUBMIT]
    played = await play(turns, levels=LEVELS, profile="nemotron-3-super")
    budgets = [body["thinking_token_budget"] for body in played.bodies]
    assert budgets == [4000, 300, 4000, 300, 4000, 300]
    started = [event for event in played.seen if isinstance(event, events.TurnStarted)]
    assert [event.step for event in started] == [
        "diagnosis", "routine", "failure", "routine", "failure", "routine",
    ]  # fmt: skip
    assert [event.thinking for event in started[:2]] == ["4000", "300"]


async def test_spent_and_allowed_are_told_after_every_turn(play: Play) -> None:
    turns = [bash("ls", thinking="hm " * 40), GIVE_UP]
    played = await play(turns, levels=LEVELS, profile="nemotron-3-super")
    answers = [event for event in played.seen if isinstance(event, events.AssistantMessage)]
    assert [event.allowed for event in answers] == [4000, 300]
    (budget,) = [event for event in played.seen if isinstance(event, events.BudgetSpent)]
    assert budget.thinking == (answers[0].spent.thinking_tokens, 4000)
    assert answers[0].spent.thinking_tokens > 20


async def test_a_thought_over_its_budget_is_counted_as_cut(play: Play) -> None:
    turns = [bash("ls", thinking="word " * 2000), Turn(text="", calls=bash("ls").calls), GIVE_UP]
    levels = Levels(Thinking(100), Thinking(100))
    played = await play(turns, levels=levels, profile="nemotron-3-super")
    first = next(event for event in played.seen if isinstance(event, events.AssistantMessage))
    assert (first.spent.thinking_cuts, first.spent.requests, first.calls[0].name) == (1, 2, "bash")
    assert first.spent.thinking_tokens <= 110 + 32


async def test_old_results_are_blanked_before_the_prompt_is_too_long(play: Play) -> None:
    turns = [bash(f"cat long.txt  # {n}") for n in range(14)] + [GIVE_UP]
    writes = bash(f"printf %s '{LONG}' > long.txt")
    counted = ScriptedServer([writes, *turns], context=40_000, after="repeat")
    played = await play([], server=counted)
    masked = [event for event in played.seen if isinstance(event, events.Masked)]
    assert masked, "the context was never nearly full"
    assert masked[0].limit == 40_000
    assert masked[0].tokens < 40_000
    assert not any(isinstance(event, events.Retried) for event in played.seen)
    assert played.ending.reason == "gave_up"


async def test_an_overflow_that_nobody_foresaw_is_blanked_and_asked_again(play: Play) -> None:
    played = await play([bash("ls"), bash("pwd"), bash("id"), Turn(overflow=True), GIVE_UP])
    assert [event.messages for event in played.seen if isinstance(event, events.Masked)] == [2]
    assert played.ending.reason == "gave_up"


async def test_a_prompt_that_the_server_cut_silently_is_said_and_made_shorter(play: Play) -> None:
    small = {"prompt_tokens": 900, "completion_tokens": 5}
    turns = [
        bash(f"printf %s '{LONG}' > long.txt"),
        *[bash(f"cat long.txt  # {n}", usage={"prompt_tokens": 4000 * (n + 1)}) for n in range(3)],
        bash("echo lost", usage=small),
        GIVE_UP,
    ]
    played = await play(turns)
    (warning,) = [event.text for event in played.seen if isinstance(event, events.Warning)]
    assert "the server read only 900 of about" in warning
    ran = [event.arguments for event in played.seen if isinstance(event, events.ToolStarted)]
    assert {"command": "echo lost"} not in ran, "an answer to half a prompt was acted on"
    assert any(isinstance(event, events.Masked) for event in played.seen)


async def test_a_first_prompt_that_is_cut_ends_the_run_with_the_cure(play: Play) -> None:
    tiny = Turn(text="hello", usage={"prompt_tokens": 100, "completion_tokens": 1})
    with pytest.raises(ContextOverflow, match="read only 100 of about"):
        await play([tiny], task="long words " * 4000)


async def test_a_cache_that_never_hits_is_an_alarm_with_its_cure(play: Play) -> None:
    def turn(n: int) -> Turn:
        usage = {
            "prompt_tokens": 9000 + n,
            "completion_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 0},
        }
        return bash(f"echo {n}", usage=usage)

    played = await play([*map(turn, range(6)), replace(GIVE_UP, usage={"prompt_tokens": 9100})])
    (warning,) = [event.text for event in played.seen if isinstance(event, events.Warning)]
    assert "--enable-prefix-caching" in warning
    rates = [event.cache for event in played.seen if isinstance(event, events.BudgetSpent)]
    assert rates[-1] == 0.0
