"""vLLM 0.20 and 0.32, and NIM, which has vLLM inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.wire.base import Answer, Piece, Recorded, Turn, WireServer, tokens
from tests.wire.dialect import CLOSED, Dialect, last_message, metrics, new_id, read

ENGINE_DEATH = "EngineCore encountered an issue. See stack trace (above) for the root cause."


class Vllm(Dialect):
    """vLLM 0.32 with `--reasoning-parser nemotron_v3 --tool-call-parser qwen3_coder`, as it was seen on the wire."""

    name = "vllm"
    backend = "vllm"
    version = "0.32.0"
    owner = "vllm"
    reasoning = "reasoning"  # DeltaMessage has no `reasoning_content`: vLLM 0.20 to 0.33
    budget: tuple[str, ...] = ("thinking_token_budget",)
    running_count = ("stream_options", "continuous_usage_stats")
    engine_dies = True
    flags_both = "Cannot set both `continue_final_message` and `add_generation_prompt` to True."

    def get(self, path: str, server: WireServer) -> Answer | None:
        match path:
            case "/version":
                return Answer(200, {"version": self.version})
            case "/health":
                return Answer(200, "")
            case "/metrics":
                label = f'{{engine="0",model_name="{self.model}"}}'
                return metrics(
                    {
                        f"vllm:num_requests_running{label}": server.state.running,
                        f"vllm:num_requests_waiting{label}": 0,
                        f"vllm:prefix_cache_queries_total{label}": server.state.queries,
                        f"vllm:prefix_cache_hits_total{label}": server.state.hits // 16 * 16,
                    }
                )
        return super().get(path, server)

    def models(self, server: WireServer) -> dict[str, Any]:
        listed = super().models(server)
        listed["data"][0] |= {"root": self.model, "parent": None, "max_model_len": server.context}
        return listed

    def post(self, path: str, body: dict[str, Any], server: WireServer) -> Answer | None:
        if path != "/tokenize":
            return None
        # unlike the chat, /tokenize does not rename `reasoning_content`, and so drops it: seen on the wire
        kept = [
            {key: value for key, value in message.items() if key != "reasoning_content"}
            for message in body.get("messages", [])
        ]
        count = server.count_prompt(body | ({"messages": kept} if "messages" in body else {}))
        return Answer(200, {"count": count, "max_model_len": server.context, "tokens": [0] * count})

    # -- refused -------------------------------------------------------------------------------------------------------

    def refusal(self, path: str, body: dict[str, Any], server: WireServer) -> Answer | None:
        if body.get("continue_final_message") and body.get("add_generation_prompt"):
            return self.error(self.flags_both)  # chat_completion/protocol.py, check_generation_prompt
        if body.get("continue_final_message") and "add_generation_prompt" not in body:
            # its default is true, which the renderer refuses: transformers, apply_chat_template
            return self.error("continue_final_message and add_generation_prompt are not compatible.")
        return super().refusal(path, body, server)

    def unknown_field(self, field: str) -> Answer:
        if (
            field == "thinking_token_budget"
        ):  # v1/engine/input_processor.py; the one field that it does refuse
            return self.error(
                "thinking_token_budget is set but reasoning_config is not configured. Please set"
                " --reasoning-parser and/or --reasoning-config to use thinking_token_budget."
            )
        return super().unknown_field(field)

    def too_long(self, prompt: int, limit: int) -> Answer:
        """The true size is not told."""
        message = (
            f"This model's maximum context length is {limit} tokens. However, your prompt contains at least"
            f" {limit + 1} input tokens, which exceeds this limit even without any output tokens. Please reduce the"
            f" length of the input prompt. (parameter=input_tokens, value={limit + 1})"
        )
        error = {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": 400}
        return Answer(400, {"error": error})

    def dead_answer(self) -> Answer:
        error = {"message": ENGINE_DEATH, "type": "Internal Server Error", "param": None, "code": 500}
        return Answer(500, {"error": error})

    def death(self) -> dict[str, Any] | None:
        """The stream ends with an error object, the next request gets HTTP 500, then nobody listens: seen so."""
        return {"error": {"message": ENGINE_DEATH, "type": "InternalServerError", "param": None, "code": 500}}

    # -- answered ------------------------------------------------------------------------------------------------------

    def continued(self, path: str, body: dict[str, Any]) -> bool:
        """Both flags are needed; without them the last message is closed and a new turn starts, which thinks again."""
        last = last_message(body)
        flags = body.get("continue_final_message") is True and body.get("add_generation_prompt") is False
        return flags and not last.get("tool_calls") and bool(CLOSED.match(str(last.get("content"))))

    def pieces(
        self, turn: Turn, thought: list[str], recorded: Recorded, server: WireServer
    ) -> Iterator[Piece]:
        *before, last = super().pieces(turn, thought, recorded, server)
        if recorded.mode == "continued":  # counts one token of thought after a prefilled closing tag: seen so
            before.insert(1, Piece({self.reasoning: ""}, 1))
        yield from before
        repeats = read(recorded.body, ("chat_template_kwargs", "force_nonempty_content"))
        if thought and not turn.text and not turn.calls and repeats and self.repeats_thoughts:
            yield Piece({"content": "".join(thought)})
        yield last

    repeats_thoughts = (
        True  # `force_nonempty_content` in a stream repeats the whole thought as content, since 0.32
    )

    def call_deltas(self, index: int, name: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The first piece of a call has no `arguments` key; seen on the wire."""
        head = {"id": new_id("chatcmpl-tool-"), "type": "function", "function": {"name": name}}
        yield {"index": index} | head
        for part in self.argument_parts(arguments):
            yield {"index": index, "function": {"arguments": part}}

    def argument_parts(self, arguments: dict[str, Any]) -> list[str]:
        return tokens(json.dumps(arguments))

    def usage(self, prompt: int, written: int, reasoned: int, server: WireServer) -> dict[str, Any]:
        """With `--enable-prompt-tokens-details`; hits land on whole blocks only."""
        cached = server.state.cached // 16 * 16
        return super().usage(prompt, written, reasoned, server) | {
            "prompt_tokens_details": {"cached_tokens": cached, "created_cache_tokens": prompt - cached},
            "completion_tokens_details": {"reasoning_tokens": reasoned},
        }


class Vllm20(Vllm):
    """vLLM 0.20, read in its sources; with speculative decoding (the card's Spark command) it ignores the budget."""

    name = "vllm-0.20"
    version = "0.20.0"
    repeats_thoughts = False  # streaming is plain DeepSeek-R1 there

    def overflow(self, body: dict[str, Any], server: WireServer) -> Answer | None:
        """Prompt and wish together must fit."""
        prompt, wish = server.count_prompt(body), int(body.get("max_tokens") or 16)
        if prompt + wish <= server.context:
            return None
        message = (
            f"This model's maximum context length is {server.context} tokens. However, you requested {wish} output"
            f" tokens and your prompt contains {prompt} input tokens, for a total of {prompt + wish} tokens. Please"
            " reduce the length of the input prompt or the number of requested output tokens."
        )
        error = {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": 400}
        return Answer(400, {"error": error})

    def argument_parts(self, arguments: dict[str, Any]) -> list[str]:
        """qwen3_coder sends each parameter as one piece, when it is complete."""
        parts = [f'"{name}": {json.dumps(value)}' for name, value in arguments_read(arguments).items()]
        return ["{", *(part if not n else f", {part}" for n, part in enumerate(parts)), "}"]

    def usage(self, prompt: int, written: int, reasoned: int, server: WireServer) -> dict[str, Any]:
        """No details where nothing was cached."""
        told = super().usage(prompt, written, reasoned, server)
        del told["completion_tokens_details"], told["prompt_tokens_details"]["created_cache_tokens"]
        if not told["prompt_tokens_details"]["cached_tokens"]:
            del told["prompt_tokens_details"]
        return told


def arguments_read(arguments: dict[str, Any]) -> dict[str, Any]:
    """What qwen3_coder of 0.20 makes of arguments: a value ends at the first closing tag, and what follows is lost."""
    return {
        name: value.partition("</parameter>")[0] if isinstance(value, str) else value
        for name, value in arguments.items()
    }


class Nim(Vllm):
    """NIM for LLMs with vLLM inside and `NIM_ENABLE_BUDGET_CONTROL=1`: docs.nvidia.com, NIM, thinking budget."""

    name = "nim"
    backend = "nim"
    version = "1.15.4"
    owner = "system"
    model = "nvidia/nemotron-3-super-120b-a12b"
    budget = ("nvext", "max_thinking_tokens")

    def get(self, path: str, server: WireServer) -> Answer | None:
        match path:
            case "/v1/metadata":
                info = [{"modelUrl": f"ngc://nim/{self.model}", "shortName": self.model}]
                return Answer(200, {"version": self.version, "modelInfo": info, "licenseInfo": {}})
            case "/v1/health/ready":
                return Answer(
                    200, {"object": "health.response", "message": "Service is ready.", "status": "ready"}
                )
            case "/v1/metrics":
                return super().get("/metrics", server)
            case "/version" | "/metrics":
                return None
        return super().get(path, server)

    def unknown_field(self, field: str) -> Answer:
        return Dialect.unknown_field(self, field)

    def held(self, thought: list[str], limit: int) -> list[str]:
        """Ten per cent of grace to reach a newline."""
        grace = thought[limit : limit + limit // 10]
        return thought[:limit] + (grace[: grace.index("\n") + 1] if "\n" in grace else grace)
