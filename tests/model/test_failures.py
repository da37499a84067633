"""Refusals: every server's own words become the right one of our errors."""

import json

import pytest

from coder.errors import ContextOverflow, ModelRejected, ModelUnavailable, StreamBroken
from coder.model.failures import (
    clean,
    from_status,
    from_stream_error,
    output_room,
    refused_field,
    server_words,
)
from coder.model.retry import Failed, Kind, Patience, Retries

VLLM_20 = (
    "This model's maximum context length is 8192 tokens. However, you requested 4000 output tokens and your prompt"
    " contains at least 5000 input tokens, for a total of at least 9000 tokens. Please reduce the length of the input"
    " prompt or the number of requested output tokens."
)
VLLM_32 = (
    "This model's maximum context length is 8192 tokens. However, your prompt contains at least 8193 input tokens,"
    " which exceeds this limit even without any output tokens. (parameter=input_tokens, value=8193)"
)
VLLM_MAX_TOKENS = (
    "max_tokens=1000000 cannot be greater than max_model_len=8192. Please request fewer output tokens."
)
SGLANG = "The input (9000 tokens) is longer than the model's context length (8192 tokens)."
SGLANG_TOTAL = (
    "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 9000"
    " tokens: 5000 tokens from the input messages and 4000 tokens for the completion."
)
LLAMA_CPP = "request (40030 tokens) exceeds the available context size (8192 tokens), try increasing it"
LITELLM = "litellm.ContextWindowExceededError: maximum context length is 8192 tokens"
OVERFLOWS = [VLLM_20, VLLM_32, VLLM_MAX_TOKENS, SGLANG, SGLANG_TOTAL, LLAMA_CPP, LITELLM]


@pytest.mark.parametrize("message", OVERFLOWS)
@pytest.mark.parametrize("flat", [False, True])
def test_every_servers_overflow_is_an_overflow_with_its_limit(message: str, flat: bool) -> None:
    body = {"object": "error", "message": message} if flat else {"error": {"message": message, "code": 400}}
    failed = from_status(400, json.dumps(body), {})
    assert isinstance(failed.error, ContextOverflow)
    assert (failed.error.limit, failed.kind) == (8192, Kind.FINAL)


@pytest.mark.parametrize("message", OVERFLOWS)
def test_an_overflow_inside_the_stream_is_one_too(message: str) -> None:
    assert isinstance(from_stream_error(message, {"message": message}).error, ContextOverflow)


@pytest.mark.parametrize(
    ("message", "room"),
    [
        (VLLM_20, 3184),
        (SGLANG_TOTAL, 3184),
        (VLLM_MAX_TOKENS, 7184),
        (VLLM_32, None),
        (SGLANG, None),
        (LLAMA_CPP, None),
    ],
)
def test_a_wish_for_too_long_an_answer_is_told_from_too_long_a_prompt(message: str, room: int | None) -> None:
    error = from_status(400, message, {}).error
    assert isinstance(error, ContextOverflow)
    assert output_room(error, prompt_estimate=1000) == room


@pytest.mark.parametrize(
    ("status", "body", "error", "kind"),
    [
        (
            503,
            '{"error":{"message":"Loading model","type":"unavailable_error"}}',
            ModelUnavailable,
            Kind.LOADING,
        ),
        (503, "The request queue is full.", ModelUnavailable, Kind.BUSY),
        (429, "slow down", ModelUnavailable, Kind.BUSY),
        (502, "<html><title>Bad gateway</title></html>", ModelUnavailable, Kind.BUSY),
        (500, "Traceback", ModelUnavailable, Kind.BROKEN),
        (500, '{"error":{"message":"EngineCore encountered an issue."}}', ModelUnavailable, Kind.BUSY),
        (401, "{}", ModelRejected, Kind.FINAL),
        (404, '{"error":{"message":"The model `nope` does not exist."}}', ModelRejected, Kind.FINAL),
        (400, "no", ModelRejected, Kind.FINAL),
    ],
)
def test_a_status_says_whether_another_try_is_worth_it(
    status: int, body: str, error: type, kind: Kind
) -> None:
    failed = from_status(status, body, {})
    assert isinstance(failed.error, error)
    assert (failed.kind, failed.error.status) == (kind, status)


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (401, "no", "CODER_API_KEY"),
        (404, "The model `nope` does not exist.", "--model"),
        (404, "Not Found", "/v1"),
        (
            400,
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser',
            "--tool-call-parser qwen3",
        ),
        (500, "tools param requires --jinja flag", "--jinja"),
        (400, "tools param requires --jinja flag", "--jinja"),
    ],
)
def test_a_hint_says_what_to_do(status: int, message: str, hint: str) -> None:
    assert hint in from_status(status, message, {}).error.hint


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error": {"message": "no"}}', "no"),
        ('{"error": "no"}', "no"),
        ('{"object": "error", "message": "no"}', "no"),
        ('{"detail": [{"loc": ["body"], "msg": "one"}, {"msg": "two"}]}', "one; two"),
        ("<html><style>x{}</style><h1>502</h1> Bad <b>gateway</b></html>", "502 Bad gateway"),
        ("", "no explanation"),
        ("[" * 100_000, "[" * 600 + " …"),
    ],
)
def test_the_servers_words_are_found_in_every_shape(body: str, words: str) -> None:
    assert server_words(body) == words


def test_the_servers_words_carry_no_control_characters() -> None:
    assert clean("a\x1b[31mb\r\nc\u202ed\x00") == "a [31mb c d"


@pytest.mark.parametrize(
    ("status", "body", "field"),
    [
        (400, "thinking_token_budget is set but reasoning_config is not configured", "thinking_token_budget"),
        (422, '{"detail":[{"loc":["body","top_k"],"msg":"Extra inputs are not permitted"}]}', "top_k"),
        (
            400,
            "unused chat_template_kwargs: force_nonempty_content",
            "chat_template_kwargs.force_nonempty_content",
        ),
        (400, "unknown field chat_template_kwargs", "chat_template_kwargs"),
        (400, "seeds are fine", None),
        (500, "top_k", None),
    ],
)
def test_the_field_that_a_server_refuses_is_recognised(status: int, body: str, field: str | None) -> None:
    kwargs = "chat_template_kwargs"
    sent = dict.fromkeys(
        ["thinking_token_budget", "top_k", "seed", kwargs, f"{kwargs}.force_nonempty_content"]
    )
    assert refused_field(status, body, sent) == field


def test_a_stream_error_is_broken_unless_the_engine_died() -> None:
    assert isinstance(from_stream_error("boom", {}).error, StreamBroken)
    dead = from_stream_error("EngineCore encountered an issue.", {})
    assert (type(dead.error), dead.kind) == (ModelUnavailable, Kind.BUSY)


def test_waits_double_with_jitter_up_to_a_cap_and_then_end() -> None:
    patience = Patience(Retries(busy=6, base=1.0, cap=8.0))
    failed = Failed(ModelUnavailable("no"), Kind.BUSY)
    waits = [patience.wait(failed) for _ in range(7)]
    assert waits[-1] is None
    for wait, full in zip(waits[:-1], [1, 2, 4, 8, 8, 8], strict=True):
        assert wait is not None
        assert full / 2 <= wait <= full


def test_the_servers_own_retry_after_is_kept_within_the_cap() -> None:
    patience = Patience(Retries(cap=8.0))
    for header, wait in (("3", 3.0), ("9999", 8.0)):
        assert patience.wait(from_status(429, "", {"retry-after": header})) == wait


def test_a_loading_server_is_waited_for_by_the_clock_and_not_by_tries() -> None:
    patience = Patience(Retries(loading=60.0, base=1.0))
    failed = Failed(ModelUnavailable("loading"), Kind.LOADING)
    waits = []
    while (wait := patience.wait(failed)) is not None:
        waits.append(wait)
    assert 60.0 <= sum(waits) < 80.0
