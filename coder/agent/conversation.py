"""One attempt's talk with the model: it keeps the prompt inside the context, the prefix cache in view, and says how
much the model may think."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

from coder import events
from coder.agent.context import Transcript
from coder.agent.limits import Limits
from coder.agent.waiting import load_told
from coder.errors import ContextOverflow
from coder.events import Call, Emit, Spent
from coder.model import messages
from coder.model.cache import CacheMeter
from coder.model.client import ModelClient
from coder.model.fixes import Fault, fix
from coder.model.messages import Delta, Reply
from coder.model.roles import Levels
from coder.model.window import Window
from tools.base import Toolbox

_BEGUN_CALL = re.compile(r"<(?:tool_call|function)\b.*|<[a-z_]*\Z", re.DOTALL)

_ALARMS = {
    "off": (
        Fault.CACHE_OFF,
        "the server has none of the earlier prompt cached, and reads all of it again each turn",
    ),
    "unreported": (Fault.CACHE_UNREPORTED, "the server does not say how much of a prompt it had cached"),
}


@dataclass(slots=True)
class Partial:
    """What a running answer has said so far, as text and thought; a call that is only begun is no part of it."""

    pieces: list[Delta] = field(default_factory=list)

    @property
    def text(self) -> str:
        return _BEGUN_CALL.sub("", self._of("text")).strip()

    @property
    def thought(self) -> str:
        return self._of("thinking").strip()

    def _of(self, kind: str) -> str:
        return "".join(piece.text for piece in self.pieces if piece.kind == kind)


class Conversation:
    """Ask with `ask`; what is said back goes into `transcript`."""

    def __init__(
        self,
        start: Transcript,
        *,
        model: ModelClient,
        toolbox: Toolbox,
        limits: Limits,
        levels: Levels,
        emit: Emit,
        temperature: float | None = None,
    ) -> None:
        self.transcript = start
        self._temperature = temperature
        self._model = model
        self._toolbox = toolbox
        self._limits = limits
        self._levels = levels
        self._emit = emit
        limit = model.endpoint.context_length or model.profile.context
        self._window = Window(limit, model.profile.max_tokens)
        self._cache = CacheMeter()
        self._partial = Partial()
        self._begun = asyncio.Event()
        """Whether the running answer has a first token."""

    def go_back(self, length: int) -> None:
        """Go on from the first `length` messages."""
        self.transcript.cut(length)
        self._cache.rewritten()

    async def break_off(self, why: str, last: str = "") -> None:
        """Leave the messages in a form that every server takes, whatever was going on: each call has a result, and
        the last word is the model's: what it had said so far and why that is all, or `last`."""
        for id, name in self.transcript.open_calls():  # noqa: A001 - the call's own word, as in the events
            text = f"[not run: {why}]"
            self.transcript.append(messages.tool(id, text))
            await self._emit(events.ToolFinished(call=id, name=name, text=text, ok=False))
        if self.transcript.messages[-1]["role"] != "assistant":
            text = last or "\n\n".join(filter(None, [self._partial.text, f"[{why}]"]))
            thought = "" if last else self._partial.thought
            kept = thought if self._model.profile.thinking.keep_history else ""
            self.transcript.append(messages.said_before(text, kept, ()))
            finish = "ended" if last else "interrupted"
            await self._emit(events.AssistantMessage(text=text, thinking=thought, finish=finish))

    async def ask(self, step: str) -> Reply:
        """One complete answer, appended. `step` is diagnosis, failure or routine.

        Raises ContextOverflow when the prompt does not fit and nothing is left to blank.
        """
        level = self._levels.at(step)
        turn = self._limits.spent.turns + 1
        await self._emit(events.TurnStarted(turn=turn, thinking=str(level.mode), step=step))
        await self._make_room()
        reply = await self._answer(step)
        spent = spent_of(reply)
        self._limits.add(spent)
        self.transcript.append(messages.assistant(reply, self._model.profile))
        self._partial = Partial()
        await self._emit(said(reply, spent))
        if alarm := self._cache.note(reply.usage):
            await self._alarm(alarm)
        return reply

    def budget(self, reply: Reply) -> events.BudgetSpent:
        """Spent and allowed after this reply."""
        return self._limits.event(
            thinking=(reply.usage.thinking, reply.allowed or 0),
            context=(reply.usage.prompt, self._window.limit or 0),
            cache=self._cache.rate,
        )

    async def _answer(self, step: str) -> Reply:
        """Blank and ask again until the server has read the whole prompt."""
        while True:
            size = self.transcript.size
            try:
                reply = await self._request(step)
            except ContextOverflow as overflow:
                self._window.limit = overflow.limit or self._window.limit
                if not await self._mask():
                    raise
                continue
            read = reply.usage.prompt
            if reply.cuts:  # several prompts in one count
                return reply
            if not self._window.lost(size, read):
                self._window.told(size, read)
                return reply
            await self._was_cut(size, read)

    async def _request(self, step: str) -> Reply:
        self._partial = Partial()
        self._begun = asyncio.Event()
        async with load_told(self._model.endpoint, self._emit, self._begun):
            return await self._model.stream(
                self.transcript.messages,
                tools=self._toolbox.schemas(),
                max_tokens=self._limits.completion_cap(self._model.profile.max_tokens),
                temperature=self._temperature,
                thinking=self._levels.at(step),
                known_tools=self._toolbox.knows,
                on_delta=self._on_delta,
                on_retry=self._on_retry,
            )

    async def _make_room(self) -> None:
        """Blank old results before the prompt is too long; the server counts where it can, since we only estimate."""
        size = self.transcript.size
        if not self._window.is_full(size):
            return
        counted = await self._model.count(self.transcript.messages, self._toolbox.schemas())
        self._window.told(size, counted or 0)
        if self._window.is_full(size):
            await self._mask()

    async def _mask(self) -> bool:
        tokens = self._window.expects(self.transcript.size)
        masked = self.transcript.mask()
        if masked:
            self._cache.rewritten()
            await self._emit(events.Masked(messages=masked, tokens=tokens, limit=self._window.limit or 0))
        return bool(masked)

    async def _was_cut(self, size: int, read: int) -> None:
        """The server silently dropped the beginning of the prompt: it must be shorter, or the run is worth nothing."""
        expected = self._window.expects(size)
        words = f"the server read only {read} of about {expected} tokens of the prompt, and said nothing"
        cure = fix(Fault.CONTEXT_CUT, self._model.endpoint.backend, self._model.profile)
        self._window.limit = read
        if not await self._mask():
            raise ContextOverflow(f"{words}: {cure}", limit=read)
        await self._emit(events.Warning(text=f"{words}: {cure}"))

    async def _alarm(self, alarm: str) -> None:
        fault, words = _ALARMS[alarm]
        cure = fix(fault, self._model.endpoint.backend, self._model.profile)
        await self._emit(events.Warning(text=f"{words}: {cure}"))

    async def _on_delta(self, delta: Delta) -> None:
        self._partial.pieces.append(delta)
        self._begun.set()
        if delta.kind == "text":
            await self._emit(events.TextDelta(text=delta.text))
        elif delta.kind == "thinking":
            await self._emit(events.ThinkingDelta(text=delta.text))

    async def _on_retry(self, reason: str) -> None:
        self._partial = Partial()
        await self._emit(events.Retried(reason=reason))


def spent_of(reply: Reply) -> Spent:
    """One request's usage as the journal counts it."""
    usage = reply.usage
    return Spent(
        requests=1 + reply.cuts,
        prompt_tokens=usage.prompt,
        cached_tokens=usage.cached,
        completion_tokens=usage.completion,
        thinking_tokens=usage.thinking,
        tool_calls=len(reply.calls),
        turns=1,
        thinking_cuts=reply.cuts,
    )


def said(reply: Reply, spent: Spent) -> events.AssistantMessage:
    """The event for one complete answer."""
    return events.AssistantMessage(
        text=reply.text,
        thinking=reply.thinking,
        calls=tuple(Call(call.id, call.name, call.arguments) for call in reply.calls),
        finish=reply.finish,
        spent=spent,
        allowed=reply.allowed,
        seconds=round(reply.seconds, 3),
        first_token_seconds=round(reply.first_token_seconds, 3),
    )
