"""What a server's refusal means: from status, body and mid-stream error objects to the project's own errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from coder.errors import ContextOverflow, ModelRejected, ModelUnavailable, StreamBroken
from coder.model.retry import Failed, Kind

_WORDS_CAP = 600
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
# The texts of vLLM, SGLang, TensorRT-LLM (issue 9277), llama.cpp, llama-cpp-python, LM Studio (bug tracker 2322),
# LiteLLM and the OpenAI API.
_OVERFLOW = re.compile(
    r"maximum context length|longer than the model's context length|exceeds the available context size"
    r"|context_length_exceeded|exceed_context_size|ContextWindowExceeded|cannot be greater than max_model_len"
    r"|should not exceed max_num_tokens|greater than the context length \(n_keep"
    r"|exceeds? (?:the )?(?:maximum )?(?:context|model) (?:length|window)",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"(?:maximum context length (?:is|of)|context length \(|available context size \(|max_model_len="
    r"|max_num_tokens \(|n_ctx:)\s*(\d+)",
    re.IGNORECASE,
)
_PROMPT = re.compile(
    r"(?:contains|prompt:?|request \(|input \(|total of \d+ tokens:) (?:at least )?(\d+)", re.IGNORECASE
)
_OUTPUT_TOO_LONG = re.compile(
    r"cannot be greater than max_model_len|requested (\d+) output tokens|tokens for the completion",
    re.IGNORECASE,
)
_LOADING = re.compile(r"loading model|model is (?:still )?loading|unavailable_error|not ready", re.IGNORECASE)
_ENGINE_DEAD = re.compile(r"EngineCore|EngineDeadError|engine (?:is )?dead|LLM is unavailable", re.IGNORECASE)
_HINTS = (
    (
        re.compile(r"enable-auto-tool-choice|tool-call-parser", re.IGNORECASE),
        "start vLLM with --enable-auto-tool-choice --tool-call-parser qwen3_coder (or your model's parser)",
    ),
    (re.compile(r"--jinja|tools param requires", re.IGNORECASE), "start llama-server with --jinja"),
    (
        re.compile(r"model .*(?:not exist|not found)|unknown model", re.IGNORECASE),
        "name a served model with --model",
    ),
)


def from_status(status: int, body: str, headers: Mapping[str, str]) -> Failed:
    """The failure behind an HTTP status and its body."""
    words = server_words(body)
    after = _seconds(headers.get("retry-after"))
    if status >= 400 and (overflow := _overflow(words, body, status)):
        return Failed(overflow)
    if status == 503 and _LOADING.search(body):
        unavailable = ModelUnavailable(
            f"the model is still loading: {words}", hint="wait for it", status=status
        )
        return Failed(unavailable, Kind.LOADING, after=after)
    # llama.cpp (2026-10, seen on the wire) answers 500 where it was started without a flag: to try again is no use
    misconfigured = status == 500 and any(pattern.search(words) for pattern, _ in _HINTS[:2])
    if status in (408, 409, 425, 429) or (status >= 500 and not misconfigured):
        text = "is overloaded" if status in (429, 503) else f"failed (HTTP {status})"
        hint = "look at the server's log" if status == 500 else "is the server still running?"
        kind = Kind.BROKEN if status == 500 and not _ENGINE_DEAD.search(body) else Kind.BUSY
        failure = ModelUnavailable(f"the model server {text}: {words}", hint=hint, status=status)
        return Failed(failure, kind, after=after)
    text = f"the model server refused the request (HTTP {status}): {words}"
    return Failed(ModelRejected(text, hint=_hint(status, words), status=status), body=body)


def from_stream_error(message: str, body: object) -> Failed:
    """The failure behind an error object that came inside the stream."""
    text = body if isinstance(body, str) else json.dumps(body, default=str)
    words = clean(message) or server_words(text)
    if overflow := _overflow(words, text, None):
        return Failed(overflow)
    if _ENGINE_DEAD.search(text) or _ENGINE_DEAD.search(message):
        hint = "look at the server's log; it may be restarting"
        return Failed(ModelUnavailable(f"the model server's engine died: {words}", hint=hint), Kind.BUSY)
    hint = "look at the server's log"
    return Failed(
        StreamBroken(f"the model server reported an error mid-answer: {words}", hint=hint), Kind.BROKEN
    )


def refused_field(status: int, body: str, sent: Mapping[str, object]) -> str | None:
    """Which of the optional fields that were sent the server names in its refusal, the longest first.

    `sent` is keyed by field name; a key inside `chat_template_kwargs` counts as `chat_template_kwargs.key`.
    """
    if status not in (400, 422):
        return None
    for field in sorted(sent, key=len, reverse=True):
        if re.search(rf"(?<![A-Za-z_]){re.escape(field.rpartition('.')[2])}(?![A-Za-z_])", body):
            return field
    return None


def output_room(overflow: ContextOverflow, prompt_estimate: int) -> int | None:
    """Tokens left for the answer when only the wish for a long one did not fit; None when the prompt itself is too long."""
    text = str(overflow)
    if overflow.limit is None or not _OUTPUT_TOO_LONG.search(text):
        return None
    told = _PROMPT.search(text)
    room = overflow.limit - (int(told.group(1)) if told else prompt_estimate) - 8
    return room if room >= 256 else None


def server_words(body: str) -> str:
    """What the server says in its body, whatever its shape, in one clean line."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    text = _message(data)
    if not text:
        text = re.sub(
            r"<(script|style)\b.*?</\1>|<[^>]*>", " ", body[:20_000], flags=re.DOTALL | re.IGNORECASE
        )
    return clean(text) or "no explanation"


def clean(text: str) -> str:
    """One line without control or direction characters, at most 600 characters."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if len(line) <= _WORDS_CAP else line[:_WORDS_CAP] + " …"


def _message(data: Any) -> str:
    if isinstance(data, dict):
        for key in ("error", "message", "detail", "msg"):
            if text := _message(data.get(key)):
                return text
    if isinstance(data, list):
        return "; ".join(filter(None, (_message(each) for each in data[:5])))
    return data if isinstance(data, str) else ""


def _overflow(words: str, body: str, status: int | None) -> ContextOverflow | None:
    if not (_OVERFLOW.search(words) or _OVERFLOW.search(body)):
        return None
    limit = _LIMIT.search(words) or re.search(r'"n_ctx":\s*(\d+)', body)
    return ContextOverflow(words, limit=int(limit.group(1)) if limit else None, status=status)


def _hint(status: int, words: str) -> str:
    if status in (401, 403):
        return "set CODER_API_KEY to the server's key"
    for pattern, hint in _HINTS:
        if pattern.search(words):
            return hint
    return (
        "check that --base-url ends in /v1"
        if status in (404, 405)
        else "coder doctor shows what this server can do"
    )


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value) if value else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < 86_400 else None
