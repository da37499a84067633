"""Caps hold on our side."""

from __future__ import annotations

import asyncio

import pytest

from coder.agent.limits import Limits
from coder.errors import LimitReached
from coder.events import Spent


def turn(tokens: int = 10) -> Spent:
    return Spent(requests=1, prompt_tokens=tokens, turns=1)


def test_the_cap_on_turns_stops_the_turn_after_it() -> None:
    limits = Limits(turns=2)
    limits.check()
    limits.add(turn())
    limits.check()
    limits.add(turn())
    with pytest.raises(LimitReached, match="2 turns") as caught:
        limits.check()
    assert (caught.value.kind, caught.value.exit_status) == ("turns", 3)


def test_the_cap_on_tokens_counts_prompts_and_answers_together() -> None:
    limits = Limits(tokens=100)
    limits.add(Spent(prompt_tokens=60, completion_tokens=30))
    limits.check()
    assert limits.completion_cap(4096) == 10
    limits.add(Spent(prompt_tokens=10))
    with pytest.raises(LimitReached, match="100 tokens"):
        limits.check()


def test_no_cap_means_no_cap() -> None:
    limits = Limits(turns=0, tokens=0, seconds=0)
    limits.add(Spent(prompt_tokens=10**9, turns=10**6))
    limits.check()
    assert limits.completion_cap(4096) == 4096
    assert limits.reminder() == ""


async def test_the_deadline_cancels_what_hangs() -> None:
    limits = Limits(seconds=0.05)
    with pytest.raises(LimitReached) as caught:
        async with limits.deadline():
            await asyncio.sleep(60)
    assert caught.value.kind == "seconds"
    with pytest.raises(LimitReached):
        limits.check()


async def test_a_timeout_of_something_inside_is_not_taken_for_the_deadline() -> None:
    with pytest.raises(TimeoutError):
        async with Limits(seconds=60).deadline():
            raise TimeoutError


async def test_without_a_cap_on_time_there_is_no_deadline() -> None:
    async with Limits(seconds=0).deadline():
        await asyncio.sleep(0)


def test_the_model_hears_what_is_left_once_at_each_mark() -> None:
    limits = Limits(turns=10)
    heard = []
    for _ in range(10):
        limits.add(turn())
        heard.append(limits.reminder())
    assert [text for text in heard if text] == [
        "[5 of 10 turns left]",
        "[2 of 10 turns left]",
        "[0 of 10 turns left]",
    ]


def test_the_scarcer_budget_is_named() -> None:
    limits = Limits(turns=100, tokens=100)
    limits.add(turn(tokens=85))
    assert limits.reminder() == "[15 of 100 tokens left]"


async def test_time_that_is_the_users_does_not_count() -> None:
    limits = Limits(seconds=0.3)
    async with limits.deadline():
        with limits.paused():
            await asyncio.sleep(0.5)
        assert limits.elapsed < 0.3
    limits.check()


async def test_after_a_pause_the_cap_holds_again() -> None:
    limits = Limits(seconds=0.3)

    async def work() -> None:
        async with limits.deadline():
            with limits.paused():
                await asyncio.sleep(0.1)
            await asyncio.sleep(20)

    with pytest.raises(LimitReached, match=r"0\.3 seconds"):
        await work()
