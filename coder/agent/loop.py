"""The loop: ask the model, run what it calls, append, repeat. A step that ends the attempt returns an Ending.

Everything that the model must hear later (budgets, nudges, background results, what the user says meanwhile) rides on
the next tool result: a user message in the middle of a tool loop would void the server's prefix cache and drop earlier
reasoning.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from coder import events
from coder.agent.context import Transcript
from coder.agent.conversation import Conversation
from coder.agent.inbox import Inbox, as_note, without_forgery
from coder.agent.limits import Limits
from coder.agent.live import LiveOutput
from coder.agent.memory import Past
from coder.agent.permission import Permission
from coder.agent.stuck import StuckDetector
from coder.errors import CoderError, LimitReached, ModelError
from coder.events import Emit
from coder.model import messages
from coder.model.client import ModelClient
from coder.model.messages import Reply, ToolCall
from coder.model.roles import Levels
from sandbox.errors import SandboxError
from sandbox.workspace import Workspace
from tools.base import Call, Context, Toolbox, ToolResult

SILENT_TURNS = 3
"""Answers in a row without a call before the attempt ends."""

NO_CALL = "No tool was called. Call a tool, or submit when the work is done."
CODE_ALONE = (
    "No tool was called: code in an answer changes no file. Call a tool that writes it to its file, "
    "or submit when the work is done."
)
EMPTY = "The answer was empty. Call a tool, or submit when the work is done."
MORE = "Not ended yet: the user has something to add."
INTERRUPTED = "interrupted by the user"
ENDED = "the task has ended"
CLOSING = "Done."
"""The model's last word after a submission, for servers that want one before the user's next."""
CUT = "The answer was cut at its length limit before a call was complete. Make a shorter call."


@dataclass(frozen=True, slots=True)
class Ending:
    """Why an attempt ended. `reason` is submitted, gave_up, no_tool_call, empty_answers or stuck."""

    reason: str
    sentence: str
    summary: str = ""


FinishGate = Callable[[], Awaitable[str]]
"""Asked when the model submits; returns why not, or an empty string to accept."""


@dataclass(slots=True, kw_only=True)
class Attended:
    """What there is when a user is beside the agent: words meanwhile, a gate before tools, and a conversation that
    goes on after the task. An answer without a call is then an answer, and ends it."""

    inbox: Inbox
    permission: Permission
    past: Past
    """What was said before, as a model of this profile is sent it."""
    keep: Callable[[Workspace, str], None]
    """Called in a thread with each snapshot before it is told."""
    extra: str = ""
    """What the model is sent after the user's words: attached files, news."""
    typed: str = ""
    """What the user wrote."""
    tree: str = ""
    """The snapshot of the files before the task."""


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
        attended: Attended | None = None,
        temperature: float | None = None,
    ) -> None:
        """`temperature` instead of the profile's."""
        self._model = model
        self._temperature = temperature
        self._levels = levels
        self._toolbox = toolbox
        self._context = context
        self._limits = limits
        self._emit = emit
        self._finish_gate = finish_gate
        self._attended = attended
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
        await self._begin(system, task)
        try:
            while True:
                self._limits.check()
                reply = await self._conversation.ask(self._step)
                if ending := await self._act(reply):
                    return ending
                await self._emit(self._conversation.budget(reply))
        except (asyncio.CancelledError, CoderError, SandboxError) as error:
            if self._attended is not None:
                await self._conversation.break_off(_why(error))
            raise
        finally:
            await asyncio.gather(self._checkpointing, return_exceptions=True)

    async def _begin(self, system: str, task: str) -> None:
        attended = self._attended
        transcript = attended.past(self._model.profile) if attended else None
        if transcript is None:
            transcript = Transcript(messages.system(system))
            await self._emit(events.ConversationStarted(system=system))
        self._task, self._start = task, len(transcript.messages)
        self._conversation = Conversation(
            transcript,
            model=self._model,
            toolbox=self._toolbox,
            limits=self._limits,
            levels=self._levels,
            emit=self._emit,
            temperature=self._temperature,
        )
        said = events.UserMessage(text=task)
        if attended is not None:
            self._tree = attended.tree
            typed = attended.typed if attended.typed != task else ""
            said = events.UserMessage(text=task, typed=typed, tree=attended.tree)
        transcript.append(messages.user(task))
        await self._emit(said)

    async def _act(self, reply: Reply) -> Ending | None:
        if not reply.calls:
            return await self._without_call(reply)
        self._silent, self._step = 0, "routine"
        await self._checkpointing
        for call in reply.calls:
            result = await self._run_tool(call)
            text = result.text
            if result.finished:
                ending, text = await self._finishing(call, result)
                if ending is not None:
                    return ending
            if result.finished or not result.ok or result.exit:
                self._step = "failure"
            self._stuck.step(f"{call.name} {call.arguments}", text, ok=result.ok and not result.finished)
            if not self._strikes:
                self._nudge_out_of_circle()
            await self._told(call, result, self._with_notes(text), last=call is reply.calls[-1])
        self._checkpointing = asyncio.ensure_future(self._checkpoint())
        return await self._break_circle()

    async def _finishing(self, call: ToolCall, result: ToolResult) -> tuple[Ending | None, str]:
        """The ending that the model asked for, or why it must go on."""
        attended = self._attended
        if attended is not None and attended.inbox.texts("steer"):
            return None, MORE
        if not result.ok:
            ending = Ending("gave_up", f"the model gave up: {result.text}")
        elif attended is not None and attended.permission.planning():
            ending = Ending("planned", "the model has made a plan", result.text)
        else:
            refusal = await self._finish_gate() if self._finish_gate else ""
            if refusal:
                return None, refusal
            ending = Ending("submitted", "the model submitted its change", result.text)
        if attended is not None:
            await self._conversation.break_off(ENDED, CLOSING)
        return ending, ""

    async def _told(self, call: ToolCall, result: ToolResult, text: str, *, last: bool) -> None:
        """Put a result as the model is to see it; the last one of an answer carries what the user said meanwhile."""
        if self._attended is not None:
            text = without_forgery(text)
            steering = self._attended.inbox.steering() if last else ()
            for words in steering:
                await self._emit(events.UserMessage(text=words, steer=True))
            text = "\n\n".join(filter(None, [text, as_note(steering)]))
        if text != result.text:
            self._conversation.transcript.messages[-1] = messages.tool(call.id, text)
            await self._emit(events.Told(text=text, call=call.id))

    async def _run_tool(self, call: ToolCall) -> ToolResult:
        await self._emit(events.ToolStarted(call=call.id, name=call.name, arguments=call.arguments))
        started = time.monotonic()
        live = LiveOutput(self._emit, call.id)
        try:
            result = await self._result(call, live)
        except asyncio.CancelledError:
            if self._attended is not None:
                text = "\n".join(filter(None, [live.tail.rstrip(), f"[{INTERRUPTED}]"]))
                await self._finished(call, ToolResult(without_forgery(text), ok=False), started)
            raise
        await self._finished(call, result, started)
        return result

    async def _finished(self, call: ToolCall, result: ToolResult, started: float) -> None:
        """Append a result and tell of it in one: whoever interrupts finds both or none."""
        self._conversation.transcript.append(messages.tool(call.id, result.text))
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

    async def _result(self, call: ToolCall, live: LiveOutput) -> ToolResult:
        if call.error:
            return ToolResult(text=f"The call could not be read: {call.error}", ok=False)
        context = await self._context()
        resolved = self._toolbox.resolve(call.name, call.arguments)
        if isinstance(resolved, ToolResult):
            return resolved
        plan = context.plan
        if self._attended is None:
            result = await self._toolbox.run(resolved, context)
        else:
            result = await self._permitted(resolved, context, call.id, live)
        if context.plan != plan:
            steps = tuple((step.text, step.done) for step in context.plan)
            await self._emit(events.PlanUpdated(steps=steps))
        return result

    async def _permitted(self, resolved: Call, context: Context, id: str, live: LiveOutput) -> ToolResult:  # noqa: A002 - the call's own word, as in the events
        """The result of a call that passes the gate, its output shown while it comes; else the gate's word."""
        assert self._attended is not None
        with self._limits.paused():
            instead = await self._attended.permission.judge(resolved, context, self._toolbox, id)
        if instead is not None:
            return instead
        context.on_output = live.feed
        try:
            async with live.shown():
                return await self._toolbox.run(resolved, context)
        finally:
            context.on_output = None

    async def _without_call(self, reply: Reply) -> Ending | None:
        """No call came, so there is no tool result to put a word into."""
        empty = not reply.text.strip()
        attended = self._attended
        if attended is not None and (steering := attended.inbox.steering()):
            for words in steering:
                await self._emit(events.UserMessage(text=words, steer=True))
            await self._say("\n\n".join(steering))
            return None
        if attended is not None and not empty and reply.finish != "length":
            return Ending("answered", "the model answered", reply.text.strip())
        self._silent += 1
        if self._silent >= SILENT_TURNS:
            reason, what = (
                ("empty_answers", "empty") if empty else ("no_tool_call", "words without a tool call")
            )
            return Ending(reason, f"the model's last {SILENT_TURNS} answers were {what}")
        await self._say(self._with_notes(_want_of_call(reply)))
        return None

    async def _say(self, text: str) -> None:
        self._conversation.transcript.append(messages.user(text))
        await self._emit(events.Told(text=text))

    def _nudge_out_of_circle(self) -> None:
        """The first circle: a word with the very result that closed it."""
        if pattern := self._circle():
            self.tell(f"[You made {pattern}. Try something else.]")

    async def _break_circle(self) -> Ending | None:
        """The second circle: a clean start with notes. The third: an honest stop."""
        pattern = self._circle()
        if pattern and self._strikes > 2:
            return Ending("stuck", f"the model went in circles: {pattern}")
        if pattern:
            await self._restart(pattern)
        return None

    def _circle(self) -> str:
        pattern = self._stuck.seen()
        if pattern:
            self._stuck.clear()
            self._strikes += 1
        return pattern

    async def _restart(self, pattern: str) -> None:
        results = [m["content"] for m in self._conversation.transcript.messages if m["role"] == "tool"]
        notes = "\n".join(f"- {text[:300]}" for text in results[-3:])
        again = f"{self._task}\n\nAn earlier attempt stopped at {pattern}. Its last results were:\n{notes}\n"
        self._conversation.go_back(self._start)
        await self._emit(events.Restarted(messages=self._start, reason=pattern))
        await self._say(again + "The files are as it left them.")
        self._step = "diagnosis"

    def _with_notes(self, text: str) -> str:
        notes = [*self._notes, *filter(None, [self._limits.reminder()])]
        self._notes.clear()
        return "\n\n".join([text, *notes])

    async def _checkpoint(self) -> None:
        workspace = (await self._context()).sandbox.workspace
        tree = await asyncio.to_thread(workspace.snapshot)
        if tree != (self._tree or workspace.base):
            if self._attended is not None:
                await asyncio.to_thread(self._attended.keep, workspace, tree)
            changed = await asyncio.to_thread(workspace.changes, self._tree or None, tree)
            await self._emit(events.Checkpoint(tree=tree, paths=tuple(change.path for change in changed)))
        self._tree = tree


def _want_of_call(reply: Reply) -> str:
    """What to tell a model whose answer had no call."""
    if reply.finish == "length":
        return CUT
    if not reply.text.strip():
        return EMPTY
    return CODE_ALONE if "```" in reply.text else NO_CALL


def _why(error: BaseException) -> str:
    """For the model, why it could not go on."""
    match error:
        case LimitReached():
            return str(error)
        case ModelError():
            return "the answer was lost"
        case asyncio.CancelledError():
            return INTERRUPTED
        case _:
            return ENDED
