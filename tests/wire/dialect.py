"""What a dialect decides, with the behaviour that most servers share: OpenAI's streams, and no surprises."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any, ClassVar

from tests.wire.base import Answer, Piece, Recorded, Turn, WireServer, tokens

CLOSED = re.compile(r"\A<think>\n.*?\n</think>\n*\Z", re.DOTALL)
CREATED = 1_790_000_000


class Dialect:
    """`backend` and `version` are what a client should make of it; `version` is empty where the server tells none.

    `loading` is how a server behaves that has not loaded its model: it refuses the connection, answers 503, or waits
    within the first request. `budget` is the path of the field that holds a thinking budget; only `enforcing` ones can
    keep it. `running_count` is the path of the switch that makes each chunk count the tokens so far.
    """

    name = ""
    backend = ""
    version = ""
    model = "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8"
    owner = ""
    server_header = "uvicorn"
    headers: ClassVar[dict[str, str]] = {}
    publishes_context = True
    reasoning = "reasoning_content"
    budget: tuple[str, ...] = ()
    running_count: tuple[str, ...] = ()
    loading = "refuses"
    engine_dies = False

    # -- what is published ---------------------------------------------------------------------------------------------

    def get(self, path: str, server: WireServer) -> Answer | None:
        """The answer to a GET; None for a path that this server does not know."""
        return Answer(200, self.models(server)) if path == "/v1/models" else None

    def post(self, path: str, body: dict[str, Any], server: WireServer) -> Answer | None:
        """The answer to a POST that asks for no answer of the model."""
        return None

    def models(self, server: WireServer) -> dict[str, Any]:
        entry = {"id": self.model, "object": "model", "created": CREATED, "owned_by": self.owner}
        return {"object": "list", "data": [entry]}

    def not_found(self) -> Answer:
        return Answer(404, {"detail": "Not Found"})

    # -- what is refused -----------------------------------------------------------------------------------------------

    def refusal(self, path: str, body: dict[str, Any], server: WireServer) -> Answer | None:
        if body.get("model") != self.model:
            return self.unknown_model(str(body.get("model")))
        if server.refuses and read(body, tuple(server.refuses.split("."))) is not None:
            return self.unknown_field(server.refuses)
        return self.overflow(body, server)

    def error(self, message: str, status: int = 400) -> Answer:
        return Answer(
            status, {"error": {"message": message, "type": "BadRequestError", "param": None, "code": status}}
        )

    def unknown_model(self, name: str) -> Answer | None:
        return self.error(f"The model `{name}` does not exist.", 404)

    def unknown_field(self, field: str) -> Answer:
        where = ", ".join(repr(part) for part in ("body", *field.split(".")))
        return self.error(
            f"[{{'type': 'extra_forbidden', 'loc': ({where}), 'msg': 'Extra inputs are not permitted'}}]"
        )

    def overflow(self, body: dict[str, Any], server: WireServer) -> Answer | None:
        """The refusal of a prompt that does not fit."""
        prompt = server.count_prompt(body)
        return self.too_long(prompt, server.context) if prompt > server.context else None

    def too_long(self, prompt: int, limit: int) -> Answer:
        raise NotImplementedError

    def loading_answer(self) -> Answer | None:
        """None where the server does not listen yet, or makes the request wait."""
        return None

    def dead_answer(self) -> Answer:
        """What a server says whose engine has died, until it goes down itself."""
        return self.error("the engine is dead", 500)

    def death(self) -> dict[str, Any] | None:
        """The last event of a stream in which the engine died; None where the connection just ends."""
        return None

    # -- what is answered ----------------------------------------------------------------------------------------------

    def mode(self, path: str, body: dict[str, Any]) -> str:
        """Whether the model thinks, thinking is off, or a closed thought is continued."""
        if self.continued(path, body):
            return "continued"
        return "thinks" if self.thinks(body) else "off"

    def continued(self, path: str, body: dict[str, Any]) -> bool:
        """Whether the request carries a closed thought on, in the way in which this server does it."""
        return False

    def thinks(self, body: dict[str, Any]) -> bool:
        """Nemotron's template: thinking is on unless `enable_thinking` says otherwise."""
        return read(body, ("chat_template_kwargs", "enable_thinking")) is not False

    def thought(self, turn: Turn, mode: str, body: dict[str, Any], server: WireServer) -> list[str]:
        """The tokens of the thought that this request brings."""
        if mode != "thinks":
            return []
        limit = read(body, self.budget) if self.budget and server.enforces else None
        return self.held(tokens(turn.thinking), limit) if limit is not None else tokens(turn.thinking)

    def held(self, thought: list[str], limit: int) -> list[str]:
        """A thought within its budget."""
        return thought[:limit]

    def stream(
        self, turn: Turn, recorded: Recorded, server: WireServer
    ) -> Iterator[tuple[dict[str, Any], Piece]]:
        """The chunks of an answer, each with the piece behind it."""
        body = recorded.body
        thought = self.thought(turn, recorded.mode, body, server)
        prompt, written, reasoned = self.prompt_tokens(body, server), 0, 0
        each = bool(self.running_count) and bool(read(body, self.running_count))
        for piece in self.pieces(turn, thought, recorded, server):
            written, reasoned = written + piece.tokens, reasoned + piece.thinking
            chunk = self.frame(piece)
            if each:
                chunk |= self.count_each(prompt, written, reasoned, server)
            yield chunk, piece
        if (last := self.last_chunk(body, prompt, written, reasoned, server)) is not None:
            yield last, Piece({})

    def pieces(
        self, turn: Turn, thought: list[str], recorded: Recorded, server: WireServer
    ) -> Iterator[Piece]:
        yield self.first()
        for group in grouped(thought, server.piece):
            yield Piece(self.thinking_delta("".join(group)), len(group), len(group))
        for group in grouped(tokens(turn.text), server.piece):
            yield Piece(self.text_delta("".join(group)), len(group))
        for index, (name, arguments) in enumerate(turn.calls):
            for call in self.call_deltas(index, name, arguments):
                yield Piece(self.call_delta(call), len(tokens(json.dumps(call.get("function")))) // 2)
        yield Piece(self.final_delta(), finish=self.finish(turn))

    def first(self) -> Piece:
        return Piece({"role": "assistant", "content": ""})

    def final_delta(self) -> dict[str, Any]:
        return {}

    def thinking_delta(self, text: str) -> dict[str, Any]:
        return {self.reasoning: text}

    def text_delta(self, text: str) -> dict[str, Any]:
        return {"content": text}

    def call_delta(self, call: dict[str, Any]) -> dict[str, Any]:
        return {"tool_calls": [call]}

    def call_deltas(self, index: int, name: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The pieces of one call: first its name, then its arguments token by token."""
        head = {"name": name, "arguments": ""}
        yield {"index": index, "id": new_id("call_"), "type": "function", "function": head}
        for part in tokens(json.dumps(arguments)):
            yield {"index": index, "function": {"arguments": part}}

    def finish(self, turn: Turn) -> str:
        return "tool_calls" if turn.calls else "stop"

    def frame(self, piece: Piece) -> dict[str, Any]:
        choice = {"index": 0, "delta": piece.delta, "logprobs": None, "finish_reason": piece.finish}
        return self.envelope([choice])

    def envelope(self, choices: list[Any]) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": self.model,
            "choices": choices,
        }

    # -- what is counted -----------------------------------------------------------------------------------------------

    def prompt_tokens(self, body: dict[str, Any], server: WireServer) -> int:
        return server.count_prompt(body)

    def count_each(self, prompt: int, written: int, reasoned: int, server: WireServer) -> dict[str, Any]:
        return {"usage": self.usage(prompt, written, reasoned, server)}

    def last_chunk(
        self, body: dict[str, Any], prompt: int, written: int, reasoned: int, server: WireServer
    ) -> dict[str, Any] | None:
        if not read(body, ("stream_options", "include_usage")):
            return None
        return self.envelope([]) | {"usage": self.usage(prompt, written, reasoned, server)}

    def usage(self, prompt: int, written: int, reasoned: int, server: WireServer) -> dict[str, Any]:
        return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(6)


def read(body: dict[str, Any], path: tuple[str, ...]) -> Any:
    """What is at this path of the body; None where nothing is."""
    value: Any = body
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def grouped(items: list[str], size: int) -> Iterator[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def last_message(body: dict[str, Any]) -> dict[str, Any]:
    """The trailing assistant message; empty where the last one is somebody else's."""
    last: dict[str, Any] = (body.get("messages") or [{}])[-1]
    return last if last.get("role") == "assistant" else {}


def metrics(values: dict[str, int]) -> Answer:
    """Prometheus text."""
    lines = "".join(
        f"# TYPE {name.partition('{')[0]} gauge\n{name} {float(value)}\n" for name, value in values.items()
    )
    return Answer(200, lines, "text/plain; version=0.0.4; charset=utf-8")
