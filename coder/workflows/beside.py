"""What a session does beside its tasks: the user's own commands, and putting an old journal in order."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from coder import events
from coder.agent.live import LiveOutput
from coder.agent.memory import Memory
from coder.events import Emit, Event
from tools.base import Context, ToolResult
from tools.bash import Bash

CLOSED = "the session was closed"
TOOL = "shell"
"""The name under which the user's own commands show up."""


async def run_command(command: str, context: Context, emit: Emit) -> str:
    """Run the user's own command in the sandbox; what the model is told of it. Cancelling ends the command."""
    call = f"{TOOL}-{secrets.token_hex(4)}"
    await emit(events.ToolStarted(call=call, name=TOOL, arguments={"command": command}))
    started = time.monotonic()
    live = LiveOutput(emit, call)
    own = replace(context, on_output=live.feed)  # the model's tools may be at work beside it
    try:
        async with live.shown():
            result = await Bash().run({"command": command}, own)
    except asyncio.CancelledError:
        text = "\n".join(filter(None, [live.tail.rstrip(), "[interrupted by the user]"]))
        await emit(_finished(call, ToolResult(text, ok=False), started))
        raise
    await emit(_finished(call, result, started))
    return f"[The user ran `{command}`:]\n{result.text}"


def _finished(call: str, result: ToolResult, started: float) -> events.ToolFinished:
    return events.ToolFinished(
        call=call,
        name=TOOL,
        text=result.text,
        ok=result.ok,
        exit=result.exit,
        seconds=round(time.monotonic() - started, 3),
    )


async def loose_ends(memory: Memory, why: str) -> AsyncIterator[Event]:
    """What is missing at the end of a task that broke off, or of a journal whose process died: answers, results, the
    model's last word.

    Each event must be in `memory` before the next is asked for.
    """
    for question in sorted(memory.asked):
        yield events.ApprovalResolved(id=question, answer="interrupted")
    for call, name in memory.open_calls():
        yield events.ToolFinished(call=call, name=name, text=f"[not run: {why}]", ok=False)
    if memory.messages and memory.messages[-1]["role"] != "assistant":
        yield events.AssistantMessage(text=f"[{why}]", finish="interrupted")
