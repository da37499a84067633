"""Ten thousand damaged answers: nothing raises, nothing cut is ever run, and hostile text costs little."""

from __future__ import annotations

import ast
import json
import random
import time
import warnings
from collections.abc import Iterator

import pytest

from coder.model import messages
from coder.model.messages import Reply, ToolCall
from coder.model.profile import load_profile
from tests.model.played import Case, chunk, corpus, outcome, reply_to

ROUNDS = 10_000
CASES = corpus()
TEXTS = [case for case in CASES if case.where != "pieces"]
WHOLE = [case for case in TEXTS if case.calls and case.finish == "stop"]
DEBRIS = [
    *("<tool_call>", "</tool_call>", "<function=bash>", "</function>", "<parameter=command>", "</parameter>"),
    *("<think>", "</think>", "```", "```json\n", "[TOOL_CALLS]", "<|python_tag|>", "<|tool_call_begin|>"),
    *(
        "<｜tool▁sep｜>",
        "<|channel|>commentary to=functions.bash",
        "<arg_key>",
        "</arg_value>",
        "<tool_response>",
    ),
    *(
        '<invoke name="bash">',
        "<|tool_call>call:bash{",
        '<|"|>',
        "{",
        "}",
        "{}",
        "[",
        "]",
        '"',
        "'",
        "\\",
        "\n",
    ),
    *("null", "bash", "\ud800", "\x00"),
]
PROFILE = load_profile("nemotron-3-super")


def damaged(text: str, dice: random.Random) -> str:
    for _ in range(dice.randint(1, 3)):
        start = dice.randint(0, len(text))
        end = min(len(text), start + dice.randint(1, 30))
        match dice.randrange(4):
            case 0:
                text = text[:start]
            case 1:
                text = text[:end] + text[start:]
            case 2:
                text = text[:start] + text[end:]
            case 3:
                text = text[:start] + dice.choice(DEBRIS) + text[start:]
    return text


def sent(case: Case, text: str, dice: random.Random, finish: str) -> Iterator[dict[str, object]]:
    """The text where the case puts it, cut into chunks at random places."""
    if case.where == "arguments":
        yield chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": case.name}}]})
    while text:
        size = dice.choice((1, 3, 17, 400))
        piece, text = text[:size], text[size:]
        if case.where == "arguments":
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            yield chunk({case.where: piece})
    yield chunk({}, finish)


def commands(reply: Reply) -> list[str]:
    """The shell commands that would run."""
    outcomes = [outcome(call) for call in reply.calls]
    return [
        each["arguments"]["command"] for each in outcomes if isinstance(each, dict) and each["name"] == "bash"
    ]


def is_sound(call: ToolCall) -> bool:
    return (
        isinstance(call.arguments, dict)
        and json.dumps(call.arguments, allow_nan=False) != ""
        and not (call.error and call.arguments)
    )


def is_literal(command: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return isinstance(ast.literal_eval(command.strip()), list | dict | set | tuple)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return False


def test_no_damage_raises_or_lets_a_literal_through() -> None:
    dice = random.Random(20261124)
    seen = 0
    for _ in range(ROUNDS):
        case = dice.choice(TEXTS)
        finish = dice.choice(("stop", "length", "tool_calls"))
        reply = reply_to(sent(case, damaged(case.text, dice), dice, finish))
        assert all(is_sound(call) for call in reply.calls)
        assert not any(is_literal(command) for command in commands(reply))
        for call in messages.assistant(reply, PROFILE).get("tool_calls", []):
            assert isinstance(json.loads(call["function"]["arguments"], parse_constant=pytest.fail), dict)
        seen += len(reply.calls)
    assert seen > ROUNDS // 4, "the damage leaves too few calls to say anything"


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.id)
def test_no_cut_answer_runs_a_command_that_the_whole_one_does_not_hold(case: Case) -> None:
    whole = [outcome(call) for call in reply_to(case.chunks(100)).calls]
    assert whole == case.calls
    dice = random.Random(case.id)
    for end in range(len(case.text)):
        reply = reply_to(sent(case, case.text[:end], dice, "length"))
        for got in (outcome(call) for call in reply.calls if not call.error):
            assert got in whole, case.text[:end]


HOSTILE = {
    "wrappers": "<tool_call>" * 20_000,
    "wrappers with names": "<tool_call>bash" * 14_000,
    "keys": "<tool_call>bash" + "<arg_key>a</arg_key><arg_value>" * 7_000,
    "functions": "<function=bash>\n" * 13_000,
    "parameters of strangers": "<function=nope><parameter=a>" * 300 + "x" * 190_000,
    "parameters": "<function=bash><parameter=a>" * 300 + "x" * 190_000,
    "closers": "<function=bash><parameter=a>" + "</parameter>" * 16_000 + "x",
    "spaces before closers": "<function=bash><parameter=a>" + ("</parameter>" + " " * 1_000) * 200 + "x",
    "invokes": '<invoke name="bash"><parameter name="command">' * 4_500,
    "open JSON": '<tool_call>{"name": "bash", "arguments": {"command": "' * 3_800,
    "mistral": '[TOOL_CALLS]bash{"a": ' * 9_000,
    "mistral names": "[TOOL_CALLS]" + "a" * 190_000,
    "llama": "<|python_tag|>{" * 13_000,
    "llama calls": "<|python_tag|>bash(" * 10_000,
    "python list": "[" * 200_000,
    "python calls": "[" + "bash(a=1)," * 20_000 + "]",
    "harmony": "<|channel|>commentary to=functions.bash <|message|>{" * 4_000,
    "harmony words": "commentary to=" * 14_000,
    "kimi": '<|tool_call_begin|>bash<|tool_call_argument_begin|>{"a": ' * 3_500,
    "deepseek": "<｜tool▁call▁begin｜>function<｜tool▁sep｜>bash\n```json\n{" * 4_000,
    "gemma": '<|tool_call>call:bash{a:<|"|>' * 7_000,
    "gemma keys": "<|tool_call>call:bash{" + "a:1," * 48_000,
    "fences": "```json\n" * 25_000,
    "fence bodies": '```json\n{"name": "bash"}\n```\n' * 7_000,
    "quotes": "`" * 200_000,
    "lines of braces": "{\n" * 90_000 + "}",
    "lines of objects": '{"name": "bash", "arguments": {}}\n' * 6_000,
    "white space": "\n" * 200_000 + "}",
    "open quotes": "{'a': '" * 28_000,
    "repairable": "{" + "a: b, " * 33_000 + "}",
    "repeated objects": '{"a": 1}' * 25_000,
    "empty objects": "{} " * 66_000,
}


@pytest.mark.parametrize("where", ["content", "reasoning", "arguments"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_of_200_kilobytes_is_answered_soon(text: str, where: str) -> None:
    case = Case("hostile", "", where, text, finish="length")
    started = time.process_time()
    reply = reply_to(case.chunks(4_000))
    assert all(is_sound(call) for call in reply.calls)
    for call in reply.calls:
        outcome(call)
    assert time.process_time() - started < 5.0, "a few tens of milliseconds are usual"
