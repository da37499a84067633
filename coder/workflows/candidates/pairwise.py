"""Two changes side by side before the model, in both orders: only the same answer twice counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from coder.agent.conversation import said, spent_of
from coder.agent.limits import Limits
from coder.events import Emit
from coder.model import messages
from coder.model.client import ModelClient
from coder.model.thinking import Thinking
from coder.workflows.candidates.choice import Entry

MAX_SHOWN = 12_000
"""Characters of a patch."""
_SYSTEM = (
    "You compare two changes that were made for the same task. Both pass every test. Prefer the one that mends the cause, "
    "handles the cases that the tests do not try, and changes nothing else. Answer with one call of `prefer`."
)
_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "prefer",
        "description": "The better change.",
        "parameters": {
            "type": "object",
            "required": ["choice"],
            "properties": {"choice": {"type": "string", "enum": ["A", "B"]}},
        },
    },
}


async def preferred(
    model: ModelClient, thinking: Thinking, limits: Limits, emit: Emit, task: str, entries: Sequence[Entry]
) -> dict[int, int]:
    """How many others each candidate was preferred to, consistently. Raises LimitReached and ModelError."""
    wins = dict.fromkeys((entry.index for entry in entries), 0)
    for one, other in combinations(entries, 2):
        first, second = await asyncio.gather(
            _choice(model, thinking, limits, emit, task, one, other),
            _choice(model, thinking, limits, emit, task, other, one),
        )
        if first == "A" and second == "B":
            wins[one.index] += 1
        elif first == "B" and second == "A":
            wins[other.index] += 1
    return wins


async def _choice(
    model: ModelClient, thinking: Thinking, limits: Limits, emit: Emit, task: str, a: Entry, b: Entry
) -> str:
    limits.check()
    asked = f"# The task\n{task}\n\n{_shown('A', a)}\n\n{_shown('B', b)}"
    reply = await model.stream(
        [messages.system(_SYSTEM), messages.user(asked)],
        tools=[_TOOL],
        max_tokens=limits.completion_cap(2048),
        temperature=0.0,
        thinking=thinking,
    )
    spent = spent_of(reply)
    limits.add(spent)
    await emit(said(reply, spent))
    for call in reply.calls:
        if call.name == "prefer":
            return str(call.arguments.get("choice", "")).strip().upper()[:1]
    return ""


def _shown(name: str, entry: Entry) -> str:
    patch = entry.patch.decode("utf-8", "replace")[:MAX_SHOWN]
    return f"# Change {name}\n{entry.summary}\n{patch}"
