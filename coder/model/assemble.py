"""Building one reply from the chunks of a stream, however the server cut them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from coder.model.messages import Delta, Reply, ToolCall, Usage
from coder.model.thinking import CLOSE, OPEN, ThinkSplitter, estimate_tokens, split_thinking
from coder.model.toolcalls.arguments import coerce, leading_name, parse_arguments
from coder.model.toolcalls.find import KnownTools, extract, find_calls, find_calls_at_end
from coder.model.usage import Counted

SIZE_CAP = 8_000_000  # characters; no model writes more, a broken or hostile server might


def new_call_id() -> str:
    return f"call_{secrets.token_hex(6)}"


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the arguments are a whole object already."""
        return bool(self.arguments) and self.arguments[-1].rstrip().endswith("}") and not self._error

    @property
    def _error(self) -> str:
        return parse_arguments("".join(self.arguments))[1]


@dataclass(slots=True)
class Assembler:
    """Feed it chunks (decoded JSON, trusted in nothing), take deltas; at the end `reply` has the whole answer."""

    new_id: Callable[[], str] = new_call_id
    opened: bool = False
    """The server leaves thoughts in the content, and this one was opened in the prompt."""
    finish: str = ""
    size: int = 0
    left_open: bool = False
    """Known with the reply: a thought came in the content, and its opening tag stayed in the prompt."""
    _content: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _calls: list[_Call] = field(default_factory=list)
    _by_index: dict[int, _Call] = field(default_factory=dict)
    _splitter: ThinkSplitter = field(init=False)
    _thinking_pieces: int = 0
    _thinking_length: int = 0
    _thinking_counted: int = 0
    _counted_by_server: Counted = field(default_factory=Counted)

    def __post_init__(self) -> None:
        self._splitter = ThinkSplitter(inside=self.opened)

    @property
    def thinking_tokens(self) -> int:
        """The server's running count where it gives one; else at least this: a piece carries one token or more."""
        return self._thinking_counted or max(self._thinking_pieces, estimate_tokens(self._thinking_length))

    @property
    def in_call(self) -> bool:
        return bool(self._calls)

    def feed(self, chunk: object) -> list[Delta]:
        if not isinstance(chunk, dict):
            return []
        self._counted_by_server.take(chunk)
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return []
        if isinstance(choice.get("finish_reason"), str):
            self.finish = choice["finish_reason"]
        delta = choice.get("delta") or choice.get(
            "message"
        )  # a server that does not stream sends the message
        deltas = self._take(delta) if isinstance(delta, dict) else []
        if deltas and deltas[-1].kind == "thinking":
            self._thinking_counted = self._counted_by_server.written
        self.size += sum(len(each.text) for each in deltas)
        return deltas

    def rest(self) -> list[Delta]:
        """The pieces still held back when the stream has ended."""
        return [self._counted(kind, text) for kind, text in self._splitter.rest()]

    def reply(
        self,
        *,
        known_tools: KnownTools,
        schemas: Mapping[str, dict[str, Any]],
        close_only_thought: bool = False,
        seconds: float = 0.0,
        first_token_seconds: float = 0.0,
        finish: str | None = None,
    ) -> Reply:
        """The whole answer; calls are recovered from text and thinking when none was sent as a call."""
        text, thinking = self._texts(close_only_thought)
        cut = self.finish == "length"
        calls = tuple(self._native(call, schemas, cut) for call in self._calls if call.name)
        recovered = 0
        if not calls:
            text, thinking, calls = self._recover(text, thinking, known_tools, schemas, cut)
            recovered = len(calls)
        return Reply(
            text,
            thinking,
            _distinct(calls, self.new_id),
            finish or self.finish or "stop",
            self._usage(text, thinking),
            seconds,
            first_token_seconds,
            recovered,
        )

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _take(self, delta: dict[str, Any]) -> list[Delta]:
        deltas: list[Delta] = []
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            self._reasoning.append(reasoning)
            deltas.append(self._counted("thinking", reasoning))
        content = delta.get("content")
        if isinstance(content, str) and content:
            self._content.append(content)
            deltas += [self._counted(kind, text) for kind, text in self._splitter.feed(content)]
        pieces = delta.get("tool_calls")
        for piece in pieces if isinstance(pieces, list) else []:
            if isinstance(piece, dict):
                deltas += self._take_call(piece)
        return deltas

    def _counted(self, kind: str, text: str) -> Delta:
        if kind == "thinking":
            self._thinking_pieces += 1
            self._thinking_length += len(text)
        return Delta(kind, text)

    def _take_call(self, piece: dict[str, Any]) -> list[Delta]:
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        name = function.get("name") if isinstance(function.get("name"), str) else ""
        identity = piece.get("id") if isinstance(piece.get("id"), str) else ""
        call = self._call_for(piece.get("index"), identity or "", name or "")
        deltas = []
        call.id = call.id or identity or ""
        if name and name != call.name and not (call.name and call.arguments):
            call.name += name
            deltas.append(Delta("call", name))
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        if arguments:
            call.arguments.append(arguments)
            deltas.append(Delta("call", arguments))
        return deltas

    def _call_for(self, index: object, identity: str, name: str) -> _Call:
        """The call that a piece continues, or a new one. Some servers leave out indexes, or give all calls the same."""
        current = (
            self._by_index.get(index) if isinstance(index, int) else self._calls[-1] if self._calls else None
        )
        other_id = current is not None and identity and current.id and identity != current.id and name
        named = current is not None and name and current.name
        other_name = named and (not isinstance(index, int) or (not identity and current and current.complete))
        if current is None or other_id or (other_name and not (identity and identity == current.id)):
            current = _Call()
            self._calls.append(current)
            if isinstance(index, int):
                self._by_index[index] = current
        return current

    # -- the whole ---------------------------------------------------------------------------------------------------

    def _texts(self, close_only_thought: bool) -> tuple[str, str]:
        content, reasoning = "".join(self._content), "".join(self._reasoning)
        inline, text = split_thinking(
            content, close_only=close_only_thought and not reasoning, inside=self.opened and not reasoning
        )
        self.left_open = bool(inline) and OPEN not in content and CLOSE in content
        thinking = reasoning + inline
        # vLLM's force_nonempty_content repeats a thought that was cut off as if it were the answer
        if text.strip() and text.strip() == reasoning.strip():
            text = ""
        return text, thinking

    def _native(self, call: _Call, schemas: Mapping[str, dict[str, Any]], cut: bool) -> ToolCall:
        raw = "".join(call.arguments)
        name = leading_name(call.name) or call.name.strip()
        if "<arg_key>" in call.name and not raw.strip("{} "):  # GLM-5 issue 84: all of it became the name
            _, inside = find_calls(f"<tool_call>{call.name}</tool_call>", name.__eq__)
            raw = json.dumps(inside[0].arguments) if inside else raw
        arguments, error = parse_arguments(raw, cut=cut and call is self._calls[-1])
        return ToolCall(call.id, name, coerce(arguments, schemas.get(name)), error)

    def _recover(
        self, text: str, thinking: str, known: KnownTools, schemas: Mapping[str, dict[str, Any]], cut: bool
    ) -> tuple[str, str, tuple[ToolCall, ...]]:
        remaining, found = extract(text, thinking, known, cut=cut)
        if found and not text.strip():
            thinking, _ = find_calls_at_end(thinking, known, cut=cut)
        calls = (
            ToolCall(self.new_id(), call.name, coerce(call.arguments, schemas.get(call.name)), call.error)
            for call in found
        )
        return remaining, thinking, tuple(calls)

    def _usage(self, text: str, thinking: str) -> Usage:
        """What the server counted; the answer is estimated from its length where it did not count."""
        told = self._counted_by_server.usage
        length = sum(len(piece) for call in self._calls for piece in call.arguments)
        completion = told.completion or estimate_tokens(len(text) + len(thinking) + length)
        thought = told.thinking or self._thinking_counted or estimate_tokens(len(thinking))
        return replace(told, completion=completion, thinking=min(thought, completion))


def _distinct(calls: tuple[ToolCall, ...], new_id: Callable[[], str]) -> tuple[ToolCall, ...]:
    """The calls with an id each: a missing or repeated one is replaced."""
    seen: set[str] = set()
    out = []
    for call in calls:
        identity = call.id if call.id and call.id not in seen else new_id()
        seen.add(identity)
        out.append(ToolCall(identity, call.name, call.arguments, call.error))
    return tuple(out)
