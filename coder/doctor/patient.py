"""The server under examination, and one raw request to it: what came, in which field, and when."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coder.errors import ModelRejected
from coder.model.assemble import Assembler
from coder.model.client import ModelClient
from coder.model.endpoint import Endpoint
from coder.model.failures import refused_field
from coder.model.messages import Message, Reply, user
from coder.model.profile import Profile
from coder.model.request import Refusals, Request
from coder.model.retry import Failed, Kind, Timeouts
from coder.model.thinking import Thinking
from coder.model.transport import Transport

OFF = Thinking("off")
_COMMON = re.findall(
    r"\w+",
    """
    time year people way day man thing woman life child world school state family student group country problem hand
    part place case week company system program question work number night point home water room mother area money
    story fact month lot right study book eye job word business issue side kind head house service friend
    """,
)
_EXTRA_THOUGHT = 1024  # tokens for a model that thinks although it should not


@dataclass(slots=True)
class Heard:
    """One answer as it came. `reasoning_field` is the name that thoughts came under, empty where none did.

    `times` are the arrivals of its pieces, in seconds from the request; `raw` is the content before anybody took
    thoughts or calls out of it.
    """

    assembler: Assembler = field(default_factory=Assembler)
    times: list[float] = field(default_factory=list)
    raw: str = ""
    reasoning: str = ""
    reasoning_field: str = ""
    ended: float = 0.0
    reply: Reply | None = None

    @property
    def first(self) -> float:
        """Seconds to the first piece, or to the end of an answer that had none."""
        return self.times[0] if self.times else self.ended

    @property
    def last(self) -> float:
        return self.times[-1] if self.times else self.ended

    @property
    def answer(self) -> Reply:
        """The whole; only of an answer that was not left early."""
        assert self.reply is not None
        return self.reply

    def take(self, chunk: object, at: float) -> None:
        if self.assembler.feed(chunk):
            self.times.append(at)
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        choice = choices[0] if isinstance(choices, list) and choices else None
        delta = (choice.get("delta") or choice.get("message")) if isinstance(choice, dict) else None
        if not isinstance(delta, dict):
            return
        content = delta.get("content")
        self.raw += content if isinstance(content, str) else ""
        for name in ("reasoning", "reasoning_content"):
            if isinstance(text := delta.get(name), str) and text:
                self.reasoning, self.reasoning_field = self.reasoning + text, name
                return


@dataclass(slots=True)
class Patient:
    """One model on one server, and what earlier probes learned about it.

    `rate` is tokens a second of one answer, `prefill` tokens a second of a prompt (at least), both 0 until measured.
    `allowance` is added to each answer's limit: a model that cannot stop thinking needs room for it.
    """

    endpoint: Endpoint
    profile: Profile
    client: ModelClient
    transport: Transport
    refusals: Refusals = field(default_factory=Refusals)
    rate: float = 0.0
    prefill: float = 0.0
    allowance: int = 0

    @classmethod
    def of(cls, endpoint: Endpoint, profile: Profile) -> Patient:
        return cls(endpoint, profile, ModelClient(endpoint, profile), Transport(endpoint, Timeouts()))

    async def close(self) -> None:
        await self.client.close()
        await self.transport.close()

    def thinks_anyway(self) -> None:
        self.allowance = _EXTRA_THOUGHT

    async def ask(
        self,
        prompt: str | list[Message],
        *,
        max_tokens: int,
        tools: list[dict[str, Any]] | None = None,
        thinking: Thinking = OFF,
        extra: dict[str, Any] | None = None,
        until: Callable[[Heard], bool] | None = None,
    ) -> Heard:
        """One request at temperature 0. `until` leaves the answer early when it says so; then there is no reply.

        A field that the server refuses by name is left out from then on, except those of `extra`. A connection that
        the server closed meanwhile (llama.cpp's does when it was idle) is opened again, once.

        Raises:
            ModelError: everything else that goes wrong; nothing is repeated.
        """
        messages = [user(prompt)] if isinstance(prompt, str) else prompt
        request = Request(messages, tools, max_tokens + self.allowance, 0.0, None, thinking)
        again = True
        while True:
            body = self.refusals.body(request, self.endpoint, self.profile)
            try:
                return await self._once(body | (extra or {}), tools or [], until)
            except Failed as failed:
                error = failed.error
                if again and failed.kind in (Kind.BUSY, Kind.DOWN) and error.status is None:
                    again = False
                    continue
                if not isinstance(error, ModelRejected):
                    raise error from failed.__cause__
                name = refused_field(error.status or 0, failed.body, self.refusals.droppable(body))
                if not name or name in self.refusals.fields:
                    raise error from failed.__cause__
                self.refusals.fields.add(name)

    async def _once(
        self, body: dict[str, Any], tools: list[dict[str, Any]], until: Callable[[Heard], bool] | None
    ) -> Heard:
        heard = Heard()
        await self.transport.connected()
        started = time.monotonic()
        async with self.transport.chunks(body) as chunks:
            async for chunk in chunks:
                heard.take(chunk, time.monotonic() - started)
                if until and until(heard):
                    return heard
        heard.ended = time.monotonic() - started
        heard.assembler.rest()
        functions = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
        heard.reply = heard.assembler.reply(
            known_tools=functions.__contains__,
            schemas=functions,
            close_only_thought=self.profile.thinking.supports,
            seconds=time.monotonic() - started,
            first_token_seconds=heard.first,
        )
        return heard


def nonce() -> str:
    """A beginning that no cache has seen."""
    return f"[{secrets.token_hex(8)}]"


def filler(tokens: int) -> str:
    """A dull text of about so many tokens: common words, which are one token each for nearly every model."""
    words = [_COMMON[number * number // 7 % len(_COMMON)] for number in range(tokens)]
    return "\n".join(" ".join(words[start : start + 16]) for start in range(0, tokens, 16))
