"""The loop: ask the model, run what it calls, append, repeat. A step that ends the attempt returns an Ending.

Everything that the model must hear later (budgets, nudges, background results) rides on the next tool result:
a user message in the middle of a tool loop would void the server's prefix cache and drop earlier reasoning.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from coder import events
from coder.agent.context import Transcript
from coder.agent.conversation import Conversation
from coder.agent.limits import Limits
from coder.agent.stuck import StuckDetector
from coder.events import Emit
from coder.model import messages
from coder.model.client import ModelClient
from coder.model.messages import Reply, ToolCall
from coder.model.roles import Levels
from tools.base import Context, Toolbox, ToolResult

SILENT_TURNS = 3
"""Answers in a row without a call before the attempt ends."""

NO_CALL = "No tool was called. Call a tool, or submit when the work is done."
EMPTY = "The answer was empty. Call a tool, or submit when the work is done."
CUT = "The answer was cut at its length limit before a call was complete. Make a shorter call."


@dataclass(frozen=True, slots=True)
class Ending:
    """Why an attempt ended. `reason` is submitted, gave_up, no_tool_call, empty_answers or stuck."""

    reason: str
    sentence: str
    summary: str = ""


FinishGate = Callable[[], Awaitable[str]]
"""Asked when the model submits; returns why not, or an empty string to accept."""


class Agent:
    """One attempt at a task. Raises LimitReached and ModelError; a failing tool is a result, not an error."""

    def __init__(
        self,
        *,
        model: ModelClient,
        toolbox: Toolbox,
        context: Callable[[], Awaitable[Context]],
        limits: Limits,
        emit: Emit,
        levels: Levels,
        finish_gate: FinishGate | None = None,
    ) -> None:
        self._model = model
        self._levels = levels
        self._toolbox = toolbox
        self._context = context
        self._limits = limits
        self._emit = emit
        self._finish_gate = finish_gate
        self._step = "diagnosis"
        self._stuck = StuckDetector()
        self._strikes = 0
        self._silent = 0
        self._notes: list[str] = []
        self._tree = ""
        self._checkpointing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """The snapshot after a turn is taken while the model reads; the next tool waits for it."""
        self._checkpointing.set_result(None)

    def tell(self, note: str) -> None:
        """Let the model know something with the next result that it sees."""
        self._notes.append(note)

    async def run(self, system: str, task: str) -> Ending:
        self._start = (messages.system(system), messages.user(task))
        self._conversation = Conversation(
            Transcript(*self._start),
            model=self._model,
            toolbox=self._toolbox,
            limits=self._limits,
            levels=self._levels,
            emit=self._emit,
        )
        await self._emit(events.UserMessage(text=task))
        try:
            while True:
                self._limits.check()
                reply = await self._conversation.ask(self._step)
                if ending := await self._act(reply):
                    return ending
                await self._emit(self._conversation.budget(reply))
        finally:
            await asyncio.gather(self._checkpointing, return_exceptions=True)

    async def _act(self, reply: Reply) -> Ending | None:
        if not reply.calls:
            return self._nudge(reply)
        self._silent, self._step = 0, "routine"
        await self._checkpointing
        for call in reply.calls:
            result = await self._run_tool(call)
            text = result.text
            if result.finished:
                if not result.ok:
                    return Ending("gave_up", f"the model gave up: {result.text}")
                refusal = await self._finish_gate() if self._finish_gate else ""
                if not refusal:
                    return Ending("submitted", "the model submitted its change", result.text)
                text = refusal
            if result.finished or not result.ok or result.exit:
                self._step = "failure"
            self._stuck.step(f"{call.name} {call.arguments}", text, ok=result.ok and not result.finished)
            if not self._strikes:
                self._nudge_out_of_circle()
            self._conversation.transcript.append(messages.tool(call.id, self._with_notes(text)))
        self._checkpointing = asyncio.ensure_future(self._checkpoint())
        return self._break_circle()

    async def _run_tool(self, call: ToolCall) -> ToolResult:
        await self._emit(events.ToolStarted(call=call.id, name=call.name, arguments=call.arguments))
        started = time.monotonic()
        if call.error:
            result = ToolResult(text=f"The call could not be read: {call.error}", ok=False)
        else:
            context = await self._context()
            plan = context.plan
            result = await self._toolbox.call(call.name, call.arguments, context)
            if context.plan != plan:
                steps = tuple((step.text, step.done) for step in context.plan)
                await self._emit(events.PlanUpdated(steps=steps))
        await self._emit(
            events.ToolFinished(
                call=call.id,
                name=call.name,
                text=result.text,
                ok=result.ok,
                exit=result.exit,
                diff=result.diff,
                seconds=round(time.monotonic() - started, 3),
            )
        )
        return result

    def _nudge(self, reply: Reply) -> Ending | None:
        """No call came, so there is no tool result to put a word into."""
        self._silent += 1
        empty = not reply.text.strip()
        if self._silent >= SILENT_TURNS:
            reason, what = (
                ("empty_answers", "empty") if empty else ("no_tool_call", "words without a tool call")
            )
            return Ending(reason, f"the model's last {SILENT_TURNS} answers were {what}")
        text = CUT if reply.finish == "length" else EMPTY if empty else NO_CALL
        self._conversation.transcript.append(messages.user(self._with_notes(text)))
        return None

    def _nudge_out_of_circle(self) -> None:
        """The first circle: a word with the very result that closed it."""
        if pattern := self._circle():
            self.tell(f"[You made {pattern}. Try something else.]")

    def _break_circle(self) -> Ending | None:
        """The second circle: a clean start with notes. The third: an honest stop."""
        pattern = self._circle()
        if pattern and self._strikes > 2:
            return Ending("stuck", f"the model went in circles: {pattern}")
        if pattern:
            self._restart(pattern)
        return None

    def _circle(self) -> str:
        pattern = self._stuck.seen()
        if pattern:
            self._stuck.clear()
            self._strikes += 1
        return pattern

    def _restart(self, pattern: str) -> None:
        system, task = self._start
        tried = [m["content"] for m in self._conversation.transcript.messages if m["role"] == "tool"][-3:]
        notes = "\n".join(f"- {text[:300]}" for text in tried)
        again = (
            f"{task['content']}\n\nAn earlier attempt stopped at {pattern}. Its last results were:\n{notes}\n"
        )
        task = messages.user(again + "The files are as it left them.")
        self._conversation.begin_anew(Transcript(system, task))
        self._step = "diagnosis"

    def _with_notes(self, text: str) -> str:
        notes = [*self._notes, *filter(None, [self._limits.reminder()])]
        self._notes.clear()
        return "\n\n".join([text, *notes])

    async def _checkpoint(self) -> None:
        workspace = (await self._context()).sandbox.workspace
        tree = await asyncio.to_thread(workspace.snapshot)
        if tree != (self._tree or workspace.base):
            changed = await asyncio.to_thread(workspace.changes, self._tree or None, tree)
            await self._emit(events.Checkpoint(tree=tree, paths=tuple(change.path for change in changed)))
        self._tree = tree
