"""llama.cpp's own server (b11434 to b11549, both seen on the wire) and llama-cpp-python's (0.3.36, read in its sources)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.wire.base import Answer, Piece, Recorded, Turn, WireServer, tokens
from tests.wire.dialect import Dialect, grouped, last_message, metrics, new_id


class LlamaCpp(Dialect):
    name = "llama.cpp"
    backend = "llama.cpp"
    version = "b11434-3f1a9c2"
    owner = "llamacpp"
    model = "nemotron-3-super-120b-a12b"
    server_header = "llama.cpp"
    budget = ("reasoning_budget_tokens",)
    running_count = ("timings_per_token",)
    loading = "503"

    def get(self, path: str, server: WireServer) -> Answer | None:
        match path:
            case "/health":
                return Answer(200, {"status": "ok"})
            case "/props":
                settings = {"n_ctx": server.context, "params": {}}
                props = {"default_generation_settings": settings, "total_slots": 1}
                return Answer(
                    200, props | {"build_info": self.version, "model_path": f"/models/{self.model}.gguf"}
                )
            case "/slots":
                return Answer(
                    200, [{"id": 0, "n_ctx": server.context, "is_processing": bool(server.state.running)}]
                )
            case "/metrics":
                return metrics(
                    {
                        "llamacpp:requests_processing": server.state.running,
                        "llamacpp:requests_deferred": 0,
                        "llamacpp:prompt_tokens_cached_total": server.state.hits,
                    }
                )
        return super().get(path, server)

    def post(self, path: str, body: dict[str, Any], server: WireServer) -> Answer | None:
        if path == "/v1/chat/completions/input_tokens":
            return Answer(200, {"object": "response.input_tokens", "input_tokens": server.count_prompt(body)})
        if path == "/tokenize":  # of `content` alone: with messages it returns an empty list
            return Answer(200, {"tokens": [0] * len(tokens(str(body.get("content") or "")))})
        return None

    def models(self, server: WireServer) -> dict[str, Any]:
        """The context of one slot; and a list in Ollama's manner beside OpenAI's."""
        listed = super().models(server)
        listed["data"][0]["meta"] = {
            "n_ctx": server.context,
            "n_ctx_train": 1_048_576,
            "n_params": 120_000_000_000,
        }
        return listed | {"models": [{"name": self.model, "model": self.model}]}

    # -- refused -------------------------------------------------------------------------------------------------------

    def error(self, message: str, status: int = 400) -> Answer:
        kind = "invalid_request_error" if status == 400 else "not_found_error"
        return Answer(status, {"error": {"code": status, "message": message, "type": kind}})

    def unknown_model(self, name: str) -> Answer | None:
        """Whatever the name, the one model answers."""
        return None

    def unknown_field(self, field: str) -> Answer:
        return self.error(f"Unsupported param: {field}")

    def refusal(self, path: str, body: dict[str, Any], server: WireServer) -> Answer | None:
        """b11549: the flag is a boolean or the part to go on with, and excludes a generation prompt (the default)."""
        flag = body.get("continue_final_message", False)
        if flag not in (True, False, "content", "reasoning_content"):
            return self.error(
                'Invalid continue_final_message: expected a boolean, "content" or "reasoning_content"'
            )
        if flag and body.get("add_generation_prompt", True):
            return self.error("Cannot set both add_generation_prompt and continue_final_message to true.")
        if last_message(body).get("tool_calls"):
            return self.error("Cannot continue an assistant message that contains tool calls.")
        return super().refusal(path, body, server)

    def too_long(self, prompt: int, limit: int) -> Answer:
        message = f"request ({prompt} tokens) exceeds the available context size ({limit} tokens), try increasing it"
        error = {"code": 400, "message": message, "type": "exceed_context_size_error"}
        return Answer(400, {"error": error | {"n_prompt_tokens": prompt, "n_ctx": limit}})

    def loading_answer(self) -> Answer:
        return Answer(503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}})

    # -- answered ------------------------------------------------------------------------------------------------------

    def continued(self, path: str, body: dict[str, Any]) -> bool:
        """The thought goes in `reasoning_content` and is closed by asking for the content to be continued.

        All seen on the wire, b11549 behind Nemotron's template: without the flag a message with a thought alone is
        continued inside the thought; a first word of content closes it too; tags inside the content come after an
        empty thought of the template's own, and what returns repeats them.
        """
        last = last_message(body)
        if not last.get("reasoning_content"):
            return False
        return body.get("continue_final_message") == "content" or bool(str(last.get("content") or "").strip())

    def first(self) -> Piece:
        return Piece({"role": "assistant", "content": None})

    def call_deltas(self, index: int, name: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The first piece brings the beginning of the arguments too."""
        begin, *rest = tokens(json.dumps(arguments))
        head = {"name": name, "arguments": begin}
        yield {"index": index, "id": new_id(""), "type": "function", "function": head}
        for part in rest:
            yield {"index": index, "function": {"arguments": part}}

    # -- counted -------------------------------------------------------------------------------------------------------

    def timings(self, prompt: int, written: int, server: WireServer) -> dict[str, Any]:
        cached = min(server.state.cached, prompt - 1)  # the last token is always read anew
        return {
            "cache_n": cached,
            "prompt_n": prompt - cached,
            "predicted_n": written,
            "predicted_per_second": 21.5,
        }

    def count_each(self, prompt: int, written: int, reasoned: int, server: WireServer) -> dict[str, Any]:
        return {"timings": self.timings(prompt, written, server)}

    def last_chunk(
        self, body: dict[str, Any], prompt: int, written: int, reasoned: int, server: WireServer
    ) -> dict[str, Any] | None:
        chunk = super().last_chunk(body, prompt, written, reasoned, server)
        return None if chunk is None else chunk | {"timings": self.timings(prompt, written, server)}

    def usage(self, prompt: int, written: int, reasoned: int, server: WireServer) -> dict[str, Any]:
        details = {"cached_tokens": min(server.state.cached, prompt - 1)}
        return super().usage(prompt, written, reasoned, server) | {"prompt_tokens_details": details}


class LlamaCppPython(Dialect):
    """No parsers at all: thoughts and calls stay in the content, behind a `<think>` that stands in the prompt.

    Template variables are set when the model is loaded, not in a request (llama-cpp-python issue 2063), so thinking
    cannot be switched off.
    """

    name = "llama-cpp-python"
    backend = "llama-cpp-python"
    owner = "me"
    model = "/models/NVIDIA-Nemotron-3-Super-120B-A12B-Q4_K_M.gguf"
    publishes_context = False

    def post(self, path: str, body: dict[str, Any], server: WireServer) -> Answer | None:
        if path != "/extras/tokenize/count":
            return None
        return Answer(200, {"count": len(tokens(str(body.get("input") or "")))})

    def unknown_model(self, name: str) -> Answer | None:
        """Whatever the name, its default model answers."""
        return None

    def unknown_field(self, field: str) -> Answer:
        where = ["body", *field.split(".")]
        detail = {"type": "extra_forbidden", "loc": where, "msg": "Extra inputs are not permitted"}
        return Answer(422, {"detail": [detail]})

    def too_long(self, prompt: int, limit: int) -> Answer:
        message = (
            f"This model's maximum context length is {limit} tokens. However, you requested {prompt + 16} tokens"
            f" ({prompt} in the messages, 16 in the completion). Please reduce the length of the messages or completion."
        )
        error = {"message": message, "type": "invalid_request_error", "param": "messages"}
        return Answer(400, {"error": error | {"code": "context_length_exceeded"}})

    def thinks(self, body: dict[str, Any]) -> bool:
        return True

    def continued(self, path: str, body: dict[str, Any]) -> bool:
        """Only a prompt of one's own can hold a closed thought: `/v1/completions`."""
        return path == "/v1/completions" and str(body.get("prompt")).rstrip("\n").endswith("</think>")

    def pieces(
        self, turn: Turn, thought: list[str], recorded: Recorded, server: WireServer
    ) -> Iterator[Piece]:
        plain = recorded.path == "/v1/completions"
        if not plain:
            yield Piece({"role": "assistant"})
        if recorded.mode == "thinks":  # the prompt has opened a thought: the model always closes one
            for group in grouped(thought, server.piece):
                yield Piece({"content": "".join(group)}, len(group), len(group))
            yield from (Piece({"content": part}, 1) for part in ("\n", "</think>", "\n"))
        xml = "".join(f"\n{as_xml(name, arguments)}" for name, arguments in turn.calls)
        for group in grouped(tokens(turn.text + xml), server.piece):
            yield Piece({"content": "".join(group)}, len(group))
        yield Piece({}, finish="stop")

    def frame(self, piece: Piece) -> dict[str, Any]:
        return self.envelope(
            [{"index": 0, "delta": piece.delta, "logprobs": None, "finish_reason": piece.finish}]
        )

    def stream(
        self, turn: Turn, recorded: Recorded, server: WireServer
    ) -> Iterator[tuple[dict[str, Any], Piece]]:
        for chunk, piece in super().stream(turn, recorded, server):
            if recorded.path == "/v1/completions":
                text = piece.delta.get("content", "")
                choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": piece.finish}
                yield chunk | {"object": "text_completion", "choices": [choice]}, piece
            else:
                yield chunk, piece

    def last_chunk(self, *_: Any) -> None:
        """A stream has no usage."""


def as_xml(name: str, arguments: dict[str, Any]) -> str:
    """A call as Nemotron writes it."""
    parameters = "".join(
        f"<parameter={key}>\n{value if isinstance(value, str) else json.dumps(value)}\n</parameter>\n"
        for key, value in arguments.items()
    )
    return f"<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>"
