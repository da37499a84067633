"""The prompt only grows: rendered by a chat template as a server does it, each request begins with the one before."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

from coder.model.roles import Levels
from coder.model.thinking import Thinking
from tests.agent.conftest import Play
from tests.scripted_server import Turn, gives_up

TEMPLATE = Path(__file__).resolve().parent.parent / "live" / "nemotron3.jinja"
TURNS = 30
LEVELS = Levels(diagnosis=Thinking("full"), routine=Thinking(200))


def rendered(body: dict[str, Any]) -> str:
    """The prompt as vLLM makes it: arguments as a mapping, the template's variables from the request."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    messages = [dict(message) for message in body["messages"]]
    for message in messages:
        calls = [call["function"] for call in message.get("tool_calls", [])]
        message["tool_calls"] = [
            {"function": call | {"arguments": json.loads(call["arguments"])}} for call in calls
        ]
    prompt = environment.from_string(TEMPLATE.read_text()).render(
        messages=messages,
        tools=body["tools"],
        add_generation_prompt=body.get("add_generation_prompt", True),
        **body["chat_template_kwargs"],
    )
    if not body.get("continue_final_message"):
        return prompt
    last = messages[-1][
        "content"
    ]  # as transformers does it: nothing of the template after the last message's text
    return prompt[: prompt.rindex(last) + len(last)]


def turn(number: int) -> Turn:
    """Some call that succeeds, some that fails, some with odd text; every one with a thought."""
    commands = [
        "ls -la",
        "false",
        "cat calc.py",
        'printf "%s" "</parameter> é \\\\ <think>"',
        "no-such-program",
    ]
    command = f"{commands[number % len(commands)]}  # step {number}"
    return Turn(thinking=f"Step {number}:\nI look again.", calls=[("bash", {"command": command})])


async def test_thirty_requests_each_begin_with_the_one_before(play: Play) -> None:
    turns = [turn(number) for number in range(TURNS - 1)]
    turns[11] = Turn(thinking="I turn it over.\n" * 400, calls=turns[11].calls)  # over its budget: closed
    turns.insert(12, Turn(calls=turns[11].calls))
    played = await play(
        [*turns, replace(gives_up("enough"), thinking="Enough.")],
        levels=LEVELS,
        profile="nemotron-3-super",
        turns_allowed=TURNS + 2,
    )
    prompts = [rendered(body) for body in played.bodies]
    assert len(prompts) == TURNS + 1, "one request more, to carry on from the closed thought"
    assert any("add_generation_prompt" in body for body in played.bodies)
    for number, (before, after) in enumerate(pairwise(prompts), start=1):
        assert len(after) > len(before)
        assert after.startswith(before), f"request {number + 1} does not begin with request {number}"
    assert "I turn it over." in prompts[-1]
