"""What to change when a server has a fault: one sentence with the exact flag, for each kind of server.

Flags as of vLLM 0.20 to 0.33, SGLang 0.5.23, TensorRT-LLM main of autumn 2026, NIM LLM 2.1, llama.cpp b11434,
llama-cpp-python 0.3.36, Ollama of August 2026, LM Studio 0.4, read in their sources or documentation.
"""

from __future__ import annotations

from enum import StrEnum

from coder.model.backends import Backend
from coder.model.profile import Profile


class Fault(StrEnum):
    """What can be wrong with a server, as far as a flag can help."""

    BUFFERED = "answers come in one piece"
    TOOL_PARSER = "tool calls come as text"
    TOOL_CUT = "an argument is cut at a closing tag"
    REASONING_PARSER = "thoughts come as text"
    THINKING_OFF = "thinking cannot be turned off"
    REPEATED_THOUGHT = "a thought is repeated as the answer"
    BUDGET = "the thinking budget is not held"
    BUDGET_SPECULATION = "speculative decoding makes the server ignore thinking budgets"
    CACHE_OFF = "nothing of a prompt is cached"
    CACHE_SHORT = "only long prompts are cached"
    CACHE_UNREPORTED = "cached tokens are not reported"
    CACHE_CORRUPT = "the cache changes answers"
    CANCEL = "work goes on after the client left"
    CONTEXT_SMALL = "the context is small"
    CONTEXT_CUT = "a prompt that is too long is cut without a word"
    SCHEMA = "answers do not keep to a schema"
    ONE_SLOT = "requests wait for one another"


# Placeholders are filled from the profile, see `_FAMILY`. The key "" is for every server that is not listed.
_FIXES: dict[Fault, dict[str, str]] = {
    Fault.BUFFERED: {
        "litellm": "let the proxy in front of LiteLLM pass pieces on as they come (nginx: proxy_buffering off)",
        "": "let no proxy buffer (nginx: proxy_buffering off), or name the server itself with --base-url",
    },
    Fault.TOOL_PARSER: {
        "vllm": "start vLLM with --enable-auto-tool-choice --tool-call-parser {vllm_tools}",
        "sglang": "start SGLang with --tool-call-parser {sglang_tools}",
        "tensorrt-llm": "start trtllm-serve with --tool_parser {trt_tools}",
        # NIM LLM 2.1, environment variables: the flags of the vLLM inside
        "nim": 'start the container with -e NIM_PASSTHROUGH_ARGS="--enable-auto-tool-choice --tool-call-parser {vllm_tools}"',
        "llama.cpp": "start llama-server with --jinja, and a model whose own template knows tools",
        "llama-cpp-python": "start it with --chat_format chatml-function-calling, or serve the file with llama-server --jinja",
        "ollama": "use a model whose capabilities list tools (ollama show MODEL), and update Ollama",
        "lm-studio": "load a model that LM Studio marks as trained for tool use",
        "litellm": "set the tool parser of the server behind LiteLLM",
        "": "turn on the server's tool-call parser for this model's family",
    },
    Fault.TOOL_CUT: {
        # the XML parser of vLLM 0.20 ends a value at the first closing tag (qwen3coder_tool_parser.py)
        "vllm": "update vLLM to 0.32 or later; its older XML parser ends a value at the first such tag",
        "sglang": "update SGLang; its older XML parser ends a value at the first such tag",
        "tensorrt-llm": "update TensorRT-LLM; its XML parser ends a value at the first such tag",
        "nim": "take a NIM release with vLLM 0.32 or later inside",
        "": "update the server; its parser ends a value at the first such tag",
    },
    Fault.REASONING_PARSER: {
        "vllm": "start vLLM with --reasoning-parser {vllm_reasoning}",
        "sglang": "start SGLang with --reasoning-parser {sglang_reasoning}",
        "tensorrt-llm": "start trtllm-serve with --reasoning_parser {trt_reasoning}",
        "nim": 'start the container with -e NIM_PASSTHROUGH_ARGS="--reasoning-parser {vllm_reasoning}"',
        "llama.cpp": "start llama-server with --reasoning-format auto --jinja",
        "llama-cpp-python": "serve the file with llama-server --reasoning-format auto --jinja",
        "ollama": "update Ollama, and use a model whose capabilities list thinking (ollama show MODEL)",
        "lm-studio": "turn on Developer > separate reasoning_content in LM Studio's settings",
        "litellm": "set the reasoning parser of the server behind LiteLLM",
        "": "turn on the server's reasoning parser for this model's family",
    },
    Fault.THINKING_OFF: {
        "llama.cpp": "start llama-server with --jinja, so that chat_template_kwargs reaches the model's template",
        "llama-cpp-python": "serve the file with llama-server --jinja, which takes chat_template_kwargs",
        "ollama": "run coder with --thinking full: Ollama does not hand enable_thinking to the template",
        "lm-studio": "run coder with --thinking full, or turn thinking off for the model in LM Studio",
        "litellm": "let LiteLLM pass chat_template_kwargs on (extra_body in its model's parameters)",
        "": "use the model's own chat template, which must read enable_thinking, or a profile with --profile",
    },
    Fault.REPEATED_THOUGHT: {
        # vLLM 0.32's nemotron_v3 repeats the whole thought as content, seen on the wire
        "": "nothing to do, coder drops the copy; a profile without force_nonempty_content stops it",
    },
    Fault.BUDGET: {
        "vllm": "start vLLM with --reasoning-parser {vllm_reasoning}, or with --reasoning-config "
        """'{{"reasoning_start_str":"<think>","reasoning_end_str":"</think>"}}'""",
        "sglang": "start SGLang with --enable-strict-thinking",
        "tensorrt-llm": "start trtllm-serve with --reasoning_parser {trt_reasoning}, of a release that knows thinking_token_budget",
        "nim": "start the container with -e NIM_ENABLE_BUDGET_CONTROL=1",
        "llama.cpp": "update llama-server, start it with --jinja; --reasoning-budget N holds for all requests",
        "llama-cpp-python": "serve the file with llama-server --jinja, which can carry on from a closed thought",
        "": "nothing on this server: coder counts and cuts by itself",
    },
    Fault.BUDGET_SPECULATION: {
        # vllm issue 39573; v1/sample/logits_processor/__init__.py of 0.20
        "vllm": "update vLLM to 0.32 or later, or start it without --speculative-config",
        "nim": "take a NIM release with vLLM 0.32 or later inside, or one without a draft model",
        "": "turn speculative decoding off, or update the server",
    },
    Fault.CACHE_OFF: {
        # vLLM 0.20 leaves it off for hybrid models; with MTP see vllm issue 39809
        "vllm": "start vLLM with --enable-prefix-caching (with MTP also --mamba-cache-mode align)",
        "sglang": "start SGLang without --disable-radix-cache",
        "tensorrt-llm": "set enable_block_reuse: true under kv_cache_config in the file of --extra_llm_api_options",
        "nim": 'start the container with -e NIM_PASSTHROUGH_ARGS="--enable-prefix-caching"',
        "llama.cpp": "start llama-server without --no-cache-prompt; with several agents also --parallel 2 --kv-unified",
        "llama-cpp-python": "start it with --cache true, or serve the file with llama-server",
        "ollama": "set OLLAMA_NUM_PARALLEL=1 and OLLAMA_KEEP_ALIVE=-1, so that the model keeps its slot",
        "lm-studio": "keep the model loaded (no idle TTL), and let nobody else use it meanwhile",
        "litellm": "turn the prefix cache of the server behind LiteLLM on, and send one conversation to one server",
        "": "turn the server's prefix cache on",
    },
    Fault.CACHE_SHORT: {
        # "Setting attention block size to N tokens" in vLLM's log: hits land on multiples of that block
        "": "nothing to do: hybrid models cache whole blocks of several thousand tokens, long runs do hit",
    },
    Fault.CACHE_UNREPORTED: {
        "vllm": "start vLLM with --enable-prompt-tokens-details",
        "sglang": "start SGLang with --enable-cache-report",
        "nim": 'start the container with -e NIM_PASSTHROUGH_ARGS="--enable-prompt-tokens-details"',
        "llama.cpp": "update llama-server: newer ones report cached_tokens in every usage",
        "ollama": "nothing on Ollama: it does not report cached tokens",
        "": "let the server report prompt_tokens_details.cached_tokens in its usage",
    },
    Fault.CACHE_CORRUPT: {
        # vllm issue 53912: prefix caching together with MTP on hybrid models
        "vllm": "turn one of the two off: start vLLM with --no-enable-prefix-caching, or without --speculative-config",
        "sglang": "start SGLang with --disable-radix-cache, or without speculative decoding",
        "tensorrt-llm": "set enable_block_reuse: false under kv_cache_config in the file of --extra_llm_api_options",
        "nim": 'start the container with -e NIM_PASSTHROUGH_ARGS="--no-enable-prefix-caching"',
        "llama.cpp": "update llama-server; until then start it with --no-cache-prompt",
        "llama-cpp-python": "start it without --cache",
        "": "turn the server's prefix cache off, or speculative decoding",
    },
    Fault.CANCEL: {
        "litellm": "update LiteLLM, or name the server behind it with --base-url",
        "": "let no proxy keep connections open, or name the server itself with --base-url",
    },
    Fault.CONTEXT_SMALL: {
        "vllm": "start vLLM with a larger --max-model-len",
        "sglang": "start SGLang with a larger --context-length",
        "tensorrt-llm": "start trtllm-serve with a larger --max_seq_len",
        "nim": "start the container with a larger -e NIM_MAX_MODEL_LEN",
        "llama.cpp": "start llama-server with a larger -c (it is shared out among --parallel slots; see --kv-unified)",
        "llama-cpp-python": "start it with a larger --n_ctx",
        "ollama": "start Ollama with OLLAMA_CONTEXT_LENGTH=32768 or more",
        "lm-studio": "load the model with a larger context length",
        "litellm": "give the server behind LiteLLM a larger context, and set max_input_tokens to it",
        "": "give the model a context of 32768 tokens or more",
    },
    Fault.CONTEXT_CUT: {
        "ollama": "start Ollama with OLLAMA_CONTEXT_LENGTH=32768 or more: it drops what does not fit",
        "llama.cpp": "start llama-server without --context-shift",
        "lm-studio": "load the model with a larger context length, and set its overflow policy to stop",
        "": "let the server refuse prompts that are too long, and give it a larger context",
    },
    Fault.SCHEMA: {
        "vllm": "start vLLM with --reasoning-parser {vllm_reasoning}, so that the schema holds after the thought",
        "sglang": "start SGLang with --grammar-backend xgrammar",
        "tensorrt-llm": "set guided_decoding_backend: xgrammar in the file of --extra_llm_api_options",
        "": "update the server: it must know response_format of type json_schema",
    },
    Fault.ONE_SLOT: {
        "vllm": "start vLLM with a larger --max-num-seqs",
        "sglang": "start SGLang with a larger --max-running-requests",
        "tensorrt-llm": "start trtllm-serve with a larger --max_batch_size",
        "nim": 'start the container with -e NIM_PASSTHROUGH_ARGS="--max-num-seqs 16"',
        "llama.cpp": "start llama-server with -np 4 --kv-unified",
        "llama-cpp-python": "serve the file with llama-server -np 4 --kv-unified: this server has one slot",
        "ollama": "start Ollama with OLLAMA_NUM_PARALLEL=4",
        "lm-studio": "raise the model's limit of concurrent predictions (LM Studio 0.4 or later)",
        "": "let the server run several requests side by side",
    },
}

# The parsers' names on each server, by the family that a profile stands for. The thinking models without a profile
# of their own get the list to choose from.
_FAMILY = {
    "nemotron": {
        "vllm_tools": "qwen3_coder",
        "sglang_tools": "qwen3_coder",
        "trt_tools": "qwen3_coder",
        "vllm_reasoning": "nemotron_v3",
        "sglang_reasoning": "nemotron_3",
        "trt_reasoning": "nano-v3",
    },
    "generic": {
        "vllm_tools": "hermes (Qwen 2.5 and 3; qwen3_coder, llama3_json, mistral … for other families)",
        "sglang_tools": "qwen25 (Qwen 2.5 and 3; qwen3_coder, llama3, mistral … for other families)",
        "trt_tools": "qwen3 (qwen3_coder … for other families)",
        "vllm_reasoning": "qwen3 (nemotron_v3, deepseek_r1 … for other families)",
        "sglang_reasoning": "qwen3 (nemotron_3, deepseek-r1 … for other families)",
        "trt_reasoning": "qwen3 (nano-v3, deepseek-r1 … for other families)",
    },
}


def fix(fault: str, backend: Backend, profile: Profile) -> str:
    """What the user changes on this server, in one sentence with the flag.

    Raises:
        ValueError: no such fault.
    """
    fixes = _FIXES[Fault(fault)]
    return fixes.get(backend.name, fixes[""]).format(**_FAMILY[profile.dialect])
