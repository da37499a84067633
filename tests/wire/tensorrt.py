"""TensorRT-LLM (trtllm-serve), main of autumn 2026, read in its sources with the parsers `nano-v3` and `qwen3_coder`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.wire.base import Answer, Piece, WireServer, tokens
from tests.wire.dialect import Dialect, new_id, read

# serve/openai_protocol.py, ChatCompletionRequest: `extra="forbid"`
KNOWN = frozenset(
    {
        "messages",
        "model",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "presence_penalty",
        "response_format",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "user",
        "reasoning_effort",
        "thinking",
        "thinking_token_budget",
        "best_of",
        "top_k",
        "min_p",
        "repetition_penalty",
        "length_penalty",
        "stop_token_ids",
        "ignore_eos",
        "min_tokens",
        "skip_special_tokens",
        "echo",
        "add_generation_prompt",
        "add_special_tokens",
        "chat_template",
        "chat_template_kwargs",
        "priority",
    }
)
# Nemotron's template reads the first three. inputs/chat_template_guard.py exempts `thinking`, and in later builds also
# `force_nonempty_content`, which the reasoning parser reads.
READ = frozenset({"enable_thinking", "low_effort", "truncate_history_thinking", "thinking"})


class TensorRT(Dialect):
    name = "tensorrt-llm"
    backend = "tensorrt-llm"
    version = "1.3.0rc24"
    owner = "tensorrt_llm"
    publishes_context = False
    budget = ("thinking_token_budget",)
    running_count = ("stream_options", "continuous_usage_stats")

    def get(self, path: str, server: WireServer) -> Answer | None:
        match path:
            case "/version":
                return Answer(200, {"version": self.version})
            case "/health":
                return Answer(200, "")
            case "/metrics":  # iteration statistics as JSON, no Prometheus text
                return Answer(
                    200, [{"iter": 1, "numActiveRequests": server.state.running, "iterLatencyMS": 9.5}]
                )
        return super().get(path, server)

    def refusal(self, path: str, body: dict[str, Any], server: WireServer) -> Answer | None:
        """Fields that it does not know, `continue_final_message` among them, and template variables nobody reads."""
        for field in body:
            if field not in KNOWN:
                return self.unknown_field(field)
        if unread := sorted(set(read(body, ("chat_template_kwargs",)) or {}) - READ):
            return self.error(
                f"chat_template_kwargs {unread} are not referenced by the active chat template. Remove them, or set"
                " TRTLLM_ALLOW_UNUSED_CHAT_TEMPLATE_KWARGS=1 to allow them with a warning."
            )
        return super().refusal(path, body, server)

    def error(self, message: str, status: int = 400) -> Answer:
        kind = "BadRequestError" if status == 400 else "NotFoundError"
        return Answer(
            status, {"object": "error", "message": message, "type": kind, "param": None, "code": status}
        )

    def too_long(self, prompt: int, limit: int) -> Answer:
        """llmapi/llm.py, as TensorRT-LLM issue 9277 shows it."""
        return self.error(
            f"The sum of prompt length ({float(prompt)}), query length (0) should not exceed max_num_tokens ({limit})"
        )

    def first(self) -> Piece:
        return Piece({"role": "assistant"})

    def thinking_delta(self, text: str) -> dict[str, Any]:
        return {"content": "", "reasoning_content": text}

    def text_delta(self, text: str) -> dict[str, Any]:
        return {"content": text, "reasoning_content": ""}

    def call_delta(self, call: dict[str, Any]) -> dict[str, Any]:
        return {"content": "", "reasoning_content": "", "tool_calls": [call]}

    def final_delta(self) -> dict[str, Any]:
        return {"content": "", "reasoning_content": ""}

    def call_deltas(self, index: int, name: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """serve/postprocess_handlers.py: id and name once; nulls are left out, the type is always there."""
        head = {"name": name, "arguments": ""}
        yield {"id": new_id("chatcmpl-tool-"), "type": "function", "index": index, "function": head}
        for part in tokens(json.dumps(arguments)):
            yield {"type": "function", "index": index, "function": {"arguments": part}}

    def frame(self, piece: Piece) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "delta": piece.delta}
        return self.envelope([choice | ({"finish_reason": piece.finish} if piece.finish else {})])

    def usage(self, prompt: int, written: int, reasoned: int, server: WireServer) -> dict[str, Any]:
        details = {"cached_tokens": server.state.cached}
        return super().usage(prompt, written, reasoned, server) | {"prompt_tokens_details": details}
