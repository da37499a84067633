"""The streaming chat client: one request, its retries, its thinking budget, one complete reply."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from coder.errors import ContextOverflow, ModelRejected, StreamBroken
from coder.model.assemble import SIZE_CAP, Assembler
from coder.model.continuation import closed
from coder.model.counting import count_prompt
from coder.model.endpoint import Endpoint
from coder.model.facts import Facts
from coder.model.failures import output_room, refused_field
from coder.model.fixes import Fault, fix
from coder.model.messages import Delta, Message, Reply
from coder.model.profile import Profile
from coder.model.request import Refusals, Request
from coder.model.retry import Failed, Kind, Patience, Retries, Timeouts
from coder.model.silence import Silence
from coder.model.thinking import Thinking, estimate_tokens
from coder.model.toolcalls.find import KnownTools
from coder.model.transport import Transport

OnDelta = Callable[[Delta], Awaitable[None]]
OnRetry = Callable[[str], Awaitable[None]]
_TAIL_SECONDS = 5.0  # for the usage chunk, once the answer itself is complete
_SPILL = 8
"""Tokens of thought that may still come after a closed one; vLLM 0.32 counts one."""


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who asked: whom to tell, and which tools there are."""

    on_delta: OnDelta | None
    on_retry: OnRetry | None
    known_tools: KnownTools
    schemas: dict[str, dict[str, Any]]

    async def retrying(self, message: str) -> None:
        if self.on_retry:
            await self.on_retry(message)


@dataclass(slots=True)
class _Stream:
    """One running attempt."""

    cut_at: int | None
    assembler: Assembler
    started: float = field(default_factory=time.monotonic)
    first: float = 0.0
    cut: bool = False

    def note(self, deltas: list[Delta]) -> None:
        if deltas and not self.first:
            self.first = time.monotonic()
        thinks = bool(deltas) and deltas[-1].kind == "thinking"
        self.cut = thinks and self.cut_at is not None and self.assembler.thinking_tokens > self.cut_at


class ModelClient:
    """Streams replies of one model on one server. Cheap to make; the first request connects.

    One client may serve several requests at once.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        profile: Profile,
        *,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
        facts: Facts | None = None,
    ) -> None:
        """`facts` is what is known of this server already, for instance from `coder doctor`."""
        facts = facts or Facts()
        self.endpoint = endpoint
        self.profile = profile
        self._timeouts = timeouts or Timeouts.allowing(facts.prefill_rate, endpoint.context_length)
        self._retries = retries or Retries()
        self._refusals = Refusals(set(facts.refused))
        self._transport = Transport(endpoint, self._timeouts)
        # thoughts come in the content, opened in the prompt; learnt from the first such answer
        unsplit = facts.reasoning_separated is False or not endpoint.backend.traits.splits
        self._opened = unsplit and profile.thinking.opens_in_prompt
        self._answered = False
        self._continues = bool(endpoint.backend.traits.continues)

    async def stream(
        self,
        messages: list[Message],
        *,
        tools: list[dict[str, Any]] | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        thinking: Thinking | None = None,
        on_delta: OnDelta | None = None,
        on_retry: OnRetry | None = None,
        known_tools: KnownTools | None = None,
    ) -> Reply:
        """Ask for one reply. What is None comes from the profile.

        `known_tools` says which names may be recovered as calls from plain text: by default those of `tools`.
        Cancelling the task closes the connection, which stops the server. A thought that passes its budget is cut,
        closed at the end of a line, and carried on from in the way that this server accepts; the reply then holds
        the closed thought, the answer, and both usages. The same for a thought that filled the whole answer.

        Raises:
            ContextOverflow: the prompt does not fit.
            ModelRejected: the server refuses the request.
            ModelUnavailable, StreamBroken: the retries are used up.
        """
        wanted = thinking or Thinking.parse(self.profile.thinking.default)
        request = Request(messages, tools, max_tokens, temperature, seed, wanted)
        caller = _Caller(on_delta, on_retry, known_tools or _names(tools).__contains__, _schemas(tools))
        reply = await self._persist(request, caller, wanted.cut_at)
        if reply.finish == "budget" or _only_thought(reply, max_tokens, self.profile):
            reply = await self._carry_on(request, reply, caller)
        return replace(reply, allowed=wanted.budget)

    async def count(self, messages: list[Message], tools: list[dict[str, Any]] | None = None) -> int | None:
        """The tokens of a prompt as the server counts them; None where it does not count."""
        body = self._refusals.body(Request(messages, tools), self.endpoint, self.profile)
        return await count_prompt(self.endpoint, body)

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        await self._transport.close()

    async def _carry_on(self, request: Request, cut: Reply, caller: _Caller) -> Reply:
        """The answer to a thought that was cut: after it where the server can do that, else without it."""
        thought = closed(cut.thinking)
        budget = request.thinking.mode if request.thinking.budget else "its whole answer"
        if thought and self._continues:
            await caller.retrying(f"the thought passed {budget} tokens: closed, and carried on from")
            after = replace(request, thinking=Thinking("full"), closed_thought=thought)
            try:
                second = await self._persist(after, caller, _SPILL)
            except ModelRejected:
                self._continues = False
            else:
                cut = _joined(cut, thought, second)
                self._continues = second.finish != "budget"
                if self._continues:
                    return cut
        await caller.retrying(f"the thought passed {budget} tokens: asking again with thinking off")
        without = replace(request, thinking=Thinking("off"))
        # a model that cannot be kept from thinking gets its budget once more, at its least effort
        room = request.thinking.cut_at if "off" in self.profile.thinking.fixed else _SPILL
        second = await self._persist(without, caller, room)
        if second.finish == "budget":
            cure = fix(Fault.BUDGET, self.endpoint.backend, self.profile)
            await caller.retrying(f"the thought is cut, and no answer is to be had after it: {cure}")
        return _joined(cut, thought, second)

    async def _persist(self, request: Request, caller: _Caller, cut_at: int | None) -> Reply:
        """One reply, however many attempts the policy allows."""
        patience = Patience(self._retries, self._answered)
        await self._transport.connected()
        while True:
            body = self._refusals.body(request, self.endpoint, self.profile)
            running = _Stream(cut_at, Assembler(opened=self._opens(request)))
            try:
                return await self._attempt(body, caller, running)
            except Failed as problem:
                failed, request = self._adjust(problem, request, body)
                wait = patience.wait(failed)
                if wait is None:
                    raise failed.error from failed.__cause__
                await caller.retrying(_retry_words(failed, wait, patience))
                await asyncio.sleep(wait)

    async def _attempt(self, body: dict[str, Any], caller: _Caller, running: _Stream) -> Reply:
        silence = Silence(self.endpoint, self._timeouts, caller.retrying)
        clock = silence.clock()
        watching = asyncio.create_task(silence.watch())
        try:
            async with clock, self._transport.chunks(body) as chunks:
                async for chunk in chunks:
                    deltas = running.assembler.feed(chunk)
                    running.note(deltas)
                    silence.pause()
                    await _tell(caller, deltas)
                    if running.cut or running.assembler.size > SIZE_CAP:
                        break
                    silence.heard(self._patience_for(running))
        except TimeoutError as expired:
            if not clock.expired():
                raise
            if not running.assembler.finish:
                raise silence.failure(began=bool(running.first)) from expired
        finally:
            watching.cancel()
        await _tell(caller, running.assembler.rest())
        return self._reply(running, body, caller)

    def _opens(self, request: Request) -> bool:
        """Whether the answer will begin inside a thought that no tag opens."""
        can_be_off = self.endpoint.backend.traits.template_kwargs
        thinks = request.thinking.mode != "off" or not can_be_off
        return self._opened and thinks and not request.closed_thought

    def _patience_for(self, running: _Stream) -> float:
        """Seconds until the next piece must be there."""
        if running.assembler.finish:
            return min(_TAIL_SECONDS, self._timeouts.between)
        if running.first and not running.assembler.in_call:
            return self._timeouts.between
        return self._timeouts.first

    def _reply(self, running: _Stream, body: dict[str, Any], caller: _Caller) -> Reply:
        assembler = running.assembler
        finish = "budget" if running.cut else "length" if assembler.size > SIZE_CAP else assembler.finish
        if not finish:
            raise Failed(StreamBroken("the model server's answer ended in the middle"), Kind.BROKEN)
        assembler.finish = finish
        reply = assembler.reply(
            known_tools=caller.known_tools,
            schemas=caller.schemas,
            close_only_thought=self.profile.thinking.supports,
            seconds=time.monotonic() - running.started,
            first_token_seconds=(running.first or time.monotonic()) - running.started,
        )
        self._opened = self._opened or assembler.left_open
        self._answered = True
        if reply.usage.prompt == 0:  # neither told nor asked: caps on tokens must still hold
            reply = replace(reply, usage=replace(reply.usage, prompt=_prompt_estimate(body)))
        return reply

    def _adjust(self, failed: Failed, request: Request, body: dict[str, Any]) -> tuple[Failed, Request]:
        """Change what the server named, where the request can do without."""
        error = failed.error
        if isinstance(error, ContextOverflow):
            error.limit = error.limit or self.endpoint.context_length
            room = output_room(error, _prompt_estimate(body))
            if room is not None and room < body.get("max_tokens", 0):
                changed = Failed(error, Kind.ADJUSTED, note=f"the answer may have at most {room} tokens here")
                return changed, replace(request, max_tokens=room)
        elif isinstance(error, ModelRejected):
            field_name = refused_field(error.status or 0, failed.body, self._refusals.droppable(body))
            if field_name:
                self._refusals.fields.add(field_name)
                note = f"the server refuses the field {field_name}: left out from now on"
                return Failed(error, Kind.ADJUSTED, note=note), request
        return failed, request


async def _tell(caller: _Caller, deltas: list[Delta]) -> None:
    if caller.on_delta:
        for delta in deltas:
            await caller.on_delta(delta)


def _retry_words(failed: Failed, wait: float, patience: Patience) -> str:
    if failed.kind is Kind.ADJUSTED:
        return failed.note
    if failed.kind is Kind.LOADING:
        return f"the model is still loading (waited {patience.waited:.0f} s)"
    if failed.kind is Kind.DOWN and patience.answered:
        return f"{failed.error}; waiting for it to come back ({patience.waited:.0f} s)"
    return f"{failed.error}; trying again in {wait:.1f} s"


def _only_thought(reply: Reply, max_tokens: int | None, profile: Profile) -> bool:
    """Whether a thought used up the whole answer; where the caller had little room left, that is its end."""
    roomy = max_tokens is None or max_tokens >= profile.max_tokens
    return reply.finish == "length" and roomy and bool(reply.thinking) and not (reply.text or reply.calls)


def _joined(cut: Reply, thought: str, second: Reply) -> Reply:
    """The closed thought, and the answer that came after it."""
    return replace(
        second,
        thinking=thought,
        usage=cut.usage + second.usage,
        seconds=cut.seconds + second.seconds,
        first_token_seconds=cut.first_token_seconds,
        cuts=cut.cuts + 1,
    )


def _prompt_estimate(body: dict[str, Any]) -> int:
    return estimate_tokens(len(json.dumps([body["messages"], body.get("tools")], ensure_ascii=False)))


def _names(tools: list[dict[str, Any]] | None) -> frozenset[str]:
    return frozenset(_schemas(tools))


def _schemas(tools: list[dict[str, Any]] | None) -> dict[str, dict[str, Any]]:
    """The tools' parameter schemas by name."""
    functions = [each.get("function", {}) for each in tools or []]
    return {each["name"]: each.get("parameters", {}) for each in functions if "name" in each}
