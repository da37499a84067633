"""SGLang 0.5.23, read in its sources (`--reasoning-parser nemotron_3 --tool-call-parser qwen3_coder`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.wire.base import Answer, Piece, WireServer, tokens
from tests.wire.dialect import Dialect, last_message, metrics, new_id


class SGLang(Dialect):
    name = "sglang"
    backend = "sglang"
    version = "0.5.23"
    owner = "sglang"
    budget = ("custom_params", "thinking_budget")  # kept with `--enable-strict-thinking`
    running_count = ("stream_options", "continuous_usage_stats")
    loading = "503"

    def get(self, path: str, server: WireServer) -> Answer | None:
        match path:
            case "/server_info":
                return Answer(200, {"version": self.version, "context_length": server.context})
            case "/model_info":
                return Answer(200, {"model_path": self.model, "is_generation": True})
            case "/health" | "/health_generate":
                return Answer(200, "")
            case "/":  # it plays Ollama too
                return Answer(200, "Ollama is running")
            case "/api/tags":
                return Answer(200, {"models": [{"name": self.model, "model": self.model}]})
            case "/metrics":
                label = f'{{model_name="{self.model}"}}'
                return metrics(
                    {
                        f"sglang:num_running_reqs{label}": server.state.running,
                        f"sglang:num_queue_reqs{label}": 0,
                        f"sglang:cached_tokens_total{label}": server.state.hits,
                    }
                )
        return super().get(path, server)

    def post(self, path: str, body: dict[str, Any], server: WireServer) -> Answer | None:
        if path != "/tokenize":
            return None
        count = server.count_prompt(body)
        return Answer(200, {"tokens": [0] * count, "count": count, "max_model_len": server.context})

    def models(self, server: WireServer) -> dict[str, Any]:
        listed = super().models(server)
        listed["data"][0] |= {"root": self.model, "parent": None, "max_model_len": server.context}
        return listed

    def error(self, message: str, status: int = 400) -> Answer:
        """Flat, without an `error` object around it."""
        kind = "BadRequestError" if status == 400 else "NotFoundError"
        return Answer(
            status, {"object": "error", "message": message, "type": kind, "param": None, "code": status}
        )

    def too_long(self, prompt: int, limit: int) -> Answer:
        return self.error(
            f"The input ({prompt} tokens) is longer than the model's context length ({limit} tokens)."
        )

    def loading_answer(self) -> Answer:
        return Answer(503, "")

    def continued(self, path: str, body: dict[str, Any]) -> bool:
        """The text is appended to a generation prompt that already ends in `<think>` and a newline.

        Without the flag a trailing assistant message becomes a user message, and the model thinks again.
        """
        last = last_message(body)
        content = str(last.get("content") or "")
        flagged = body.get("continue_final_message") is True and not last.get("tool_calls")
        return flagged and not content.startswith("<think>") and content.rstrip("\n").endswith("\n</think>")

    def frame(self, piece: Piece) -> dict[str, Any]:
        """Every key of a delta is there, null or not."""
        delta = {"role": None, "content": None, "reasoning_content": None, "tool_calls": None} | piece.delta
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": piece.finish}
        return self.envelope([choice | {"matched_stop": None}]) | {"usage": None}

    def call_deltas(self, index: int, name: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Later pieces carry id and name as nulls."""
        identity = new_id("call_")
        for number, part in enumerate(["", *tokens(json.dumps(arguments))]):
            head = number == 0
            function = {"name": name if head else None, "arguments": part}
            yield {"id": identity if head else None, "index": index, "type": "function", "function": function}

    def usage(self, prompt: int, written: int, reasoned: int, server: WireServer) -> dict[str, Any]:
        """With `--enable-cache-report`; tokens of thought have a place of their own."""
        details = {"cached_tokens": server.state.cached}
        return super().usage(prompt, written, reasoned, server) | {
            "prompt_tokens_details": details,
            "reasoning_tokens": reasoned,
        }
