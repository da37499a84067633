"""The streaming chat client: one request, its retries, its thinking budget, one complete reply."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from coder.errors import ContextOverflow, ModelRejected, ModelUnavailable, StreamBroken
from coder.model.assemble import SIZE_CAP, Assembler
from coder.model.endpoint import Endpoint
from coder.model.failures import output_room, refused_field
from coder.model.messages import Delta, Message, Reply
from coder.model.profile import Profile
from coder.model.request import Refusals, Request
from coder.model.retry import Failed, Kind, Patience, Retries, Timeouts
from coder.model.thinking import Thinking, estimate_tokens
from coder.model.toolcalls import KnownTools
from coder.model.transport import Transport

OnDelta = Callable[[Delta], Awaitable[None]]
OnRetry = Callable[[str], Awaitable[None]]
_TAIL_SECONDS = 5.0  # for the usage chunk, once the answer itself is complete


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
    started: float = field(default_factory=time.monotonic)
    first: float = 0.0
    assembler: Assembler = field(default_factory=Assembler)
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
    ) -> None:
        self.endpoint = endpoint
        self.profile = profile
        self._timeouts = timeouts or Timeouts()
        self._retries = retries or Retries()
        self._refusals = Refusals()
        self._transport = Transport(endpoint, self._timeouts)

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
        Cancelling the task closes the connection, which stops the server. A thought that passes its budget is cut
        and the request repeated with thinking off; the reply then holds both, and both usages.

        Raises:
            ContextOverflow: the prompt does not fit.
            ModelRejected: the server refuses the request.
            ModelUnavailable, StreamBroken: the retries are used up.
        """
        wanted = thinking or Thinking.parse(self.profile.thinking.default)
        request = Request(messages, tools, max_tokens, temperature, seed, wanted)
        caller = _Caller(on_delta, on_retry, known_tools or _names(tools).__contains__, _schemas(tools))
        reply = await self._persist(request, caller, wanted.cut_at)
        if reply.finish != "budget":
            return reply
        await caller.retrying(
            f"thinking passed its budget of {wanted.mode} tokens; asking again with thinking off"
        )
        second = await self._persist(replace(request, thinking=Thinking("off")), caller, wanted.cut_at)
        return _joined(reply, second)

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        await self._transport.close()

    async def _persist(self, request: Request, caller: _Caller, cut_at: int | None) -> Reply:
        """One reply, however many attempts the policy allows."""
        patience = Patience(self._retries)
        await self._transport.connected()
        while True:
            body = self._refusals.body(request, self.endpoint, self.profile)
            try:
                return await self._attempt(body, caller, cut_at)
            except Failed as problem:
                failed, request = self._adjust(problem, request, body)
                wait = patience.wait(failed)
                if wait is None:
                    raise failed.error from failed.__cause__
                await caller.retrying(_retry_words(failed, wait, patience))
                await asyncio.sleep(wait)

    async def _attempt(self, body: dict[str, Any], caller: _Caller, cut_at: int | None) -> Reply:
        running = _Stream(cut_at)
        clock = asyncio.timeout(self._timeouts.first)
        try:
            async with clock, self._transport.chunks(body) as chunks:
                async for chunk in chunks:
                    deltas = running.assembler.feed(chunk)
                    running.note(deltas)
                    clock.reschedule(None)  # a slow listener is not a slow server
                    await _tell(caller, deltas)
                    if running.cut or running.assembler.size > SIZE_CAP:
                        break
                    clock.reschedule(asyncio.get_running_loop().time() + self._patience_for(running))
        except TimeoutError as silence:
            if not clock.expired():
                raise
            if not running.assembler.finish:
                raise _silent(running) from silence
        await _tell(caller, running.assembler.rest())
        return self._reply(running, body, caller)

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


def _silent(running: _Stream) -> Failed:
    seconds = time.monotonic() - running.started
    if running.first:
        return Failed(
            StreamBroken(f"the model server fell silent in the middle of an answer, after {seconds:.0f} s"),
            Kind.BROKEN,
        )
    error = ModelUnavailable(
        f"the model server sent nothing for {seconds:.0f} s", hint="is it overloaded? look at its log"
    )
    return Failed(error, Kind.BROKEN)


def _retry_words(failed: Failed, wait: float, patience: Patience) -> str:
    if failed.kind is Kind.ADJUSTED:
        return failed.note
    if failed.kind is Kind.LOADING:
        return f"the model is still loading (waited {patience.waited_loading:.0f} s)"
    return f"{failed.error}; trying again in {wait:.1f} s"


def _joined(cut: Reply, second: Reply) -> Reply:
    """The cut thought, closed at a line's end, and the answer that came without thinking."""
    thought, newline, _ = cut.thinking.rpartition("\n")
    kept = thought if newline else cut.thinking
    return replace(
        second,
        thinking="\n".join(filter(None, (kept, second.thinking))),
        usage=cut.usage + second.usage,
        seconds=cut.seconds + second.seconds,
        first_token_seconds=cut.first_token_seconds,
    )


def _prompt_estimate(body: dict[str, Any]) -> int:
    return estimate_tokens(len(json.dumps([body["messages"], body.get("tools")], ensure_ascii=False)))


def _names(tools: list[dict[str, Any]] | None) -> frozenset[str]:
    return frozenset(_schemas(tools))


def _schemas(tools: list[dict[str, Any]] | None) -> dict[str, dict[str, Any]]:
    """The tools' parameter schemas by name."""
    functions = [each.get("function", {}) for each in tools or []]
    return {each["name"]: each.get("parameters", {}) for each in functions if "name" in each}
