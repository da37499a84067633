"""Ollama (August 2026, read in its sources) and LM Studio (0.4, from its documentation and its users' reports)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from tests.wire.base import Answer, Piece, Recorded, Turn, WireServer
from tests.wire.dialect import Dialect, new_id


class Ollama(Dialect):
    name = "ollama"
    backend = "ollama"
    version = "0.16.2"
    owner = "library"
    model = "nemotron-3-super:120b"
    server_header = "Ollama"
    reasoning = "reasoning"
    loading = "waits"

    def get(self, path: str, server: WireServer) -> Answer | None:
        match path:
            case "/":
                return Answer(200, "Ollama is running")
            case "/api/version":
                return Answer(200, {"version": self.version})
            case "/api/tags":
                return Answer(200, {"models": [{"name": self.model, "model": self.model}]})
            case "/api/ps":  # what is loaded, with the context that it was loaded with
                loaded = {"name": self.model, "model": self.model, "context_length": server.context}
                return Answer(200, {"models": [loaded]})
        return super().get(path, server)

    def not_found(self) -> Answer:
        return Answer(404, "404 page not found")

    def error(self, message: str, status: int = 400) -> Answer:
        kind = "not_found_error" if status == 404 else "invalid_request_error"
        return Answer(status, {"error": {"message": message, "type": kind, "param": None, "code": None}})

    def unknown_model(self, name: str) -> Answer:
        return self.error(f"model '{name}' not found", 404)

    def unknown_field(self, field: str) -> Answer:
        return self.error(f"json: unknown field {json.dumps(field)}")

    def overflow(self, body: dict[str, Any], server: WireServer) -> Answer | None:
        """Never: the oldest messages are dropped, and nothing is said."""
        return None

    def prompt_tokens(self, body: dict[str, Any], server: WireServer) -> int:
        """What was left of the prompt."""
        return min(server.count_prompt(body), server.context)

    def thinks(self, body: dict[str, Any]) -> bool:
        """`/v1` knows effort levels alone; a template's variables cannot be set."""
        return body.get("reasoning_effort") != "none" and body.get("think") is not False

    def first(self) -> Piece:
        return Piece({"role": "assistant", "content": ""})

    def thinking_delta(self, text: str) -> dict[str, Any]:
        return {"role": "assistant", "content": "", "reasoning": text}

    def text_delta(self, text: str) -> dict[str, Any]:
        return {"role": "assistant", "content": text}

    def call_delta(self, call: dict[str, Any]) -> dict[str, Any]:
        return {"role": "assistant", "content": "", "tool_calls": [call]}

    def call_deltas(self, index: int, name: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A call comes whole, when it is complete."""
        function = {"name": name, "arguments": json.dumps(arguments)}
        yield {"id": new_id("call_"), "index": index, "type": "function", "function": function}

    def final_delta(self) -> dict[str, Any]:
        return {"role": "assistant", "content": ""}

    def envelope(self, choices: list[Any]) -> dict[str, Any]:
        return super().envelope(choices) | {"system_fingerprint": "fp_ollama"}


class LmStudio(Dialect):
    """Loads a model with 4,096 tokens of context unless told otherwise, whatever the model could have."""

    name = "lm-studio"
    backend = "lm-studio"
    owner = "organization_owner"
    model = "nvidia/nemotron-3-super"
    headers: ClassVar[dict[str, str]] = {"X-Powered-By": "Express"}
    loading = "waits"  # the model is loaded for the first request that names it

    def get(self, path: str, server: WireServer) -> Answer | None:
        if path == "/api/v1/models":
            instance = {"id": self.model, "config": {"context_length": server.context}}
            entry = {"type": "llm", "key": self.model, "max_context_length": 1_048_576}
            return Answer(200, {"models": [entry | {"loaded_instances": [instance]}]})
        return super().get(path, server)

    def not_found(self) -> Answer:
        """HTTP 200 even for what does not exist."""
        return Answer(200, {"error": "Unexpected endpoint or method."})

    def error(self, message: str, status: int = 400) -> Answer:
        return Answer(status, {"error": message})

    def unknown_field(self, field: str) -> Answer:
        return self.error(f"Unrecognized key(s) in object: '{field}'")

    def overflow(self, body: dict[str, Any], server: WireServer) -> Answer | None:
        """Told inside the stream, after HTTP 200: see `stream`."""
        return None

    def stream(
        self, turn: Turn, recorded: Recorded, server: WireServer
    ) -> Iterator[tuple[dict[str, Any], Piece]]:
        """An overflow is an error object in the stream: LM Studio's bug tracker, 2322; its words: openhuman issue 3550."""
        prompt = server.count_prompt(recorded.body)
        if prompt > server.context:
            message = (
                "The number of tokens to keep from the initial prompt is greater than the context length (n_keep:"
                f" {prompt} >= n_ctx: {server.context}). Try to load the model with a larger context length, or provide"
                " a shorter prompt."
            )
            yield {"error": {"message": message}, "message": message}, Piece({})
            return
        yield from super().stream(turn, recorded, server)

    def thinks(self, body: dict[str, Any]) -> bool:
        return body.get("reasoning_effort") != "none" and super().thinks(body)
