"""What local servers and models get wrong in practice, each through the whole program: the run goes on, and ends as a
user would want. The README's table has one line for each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import EDIT, LIST, READ, SOLVES, SUBMIT, TEST, Coder, scripted
from tests.scripted_server import ScriptedServer, Turn

# -- calls that arrive as text -----------------------------------------------------------------------------------------


def hermes(name: str, arguments: dict[str, Any]) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def xml(name: str, arguments: dict[str, Any]) -> str:
    parameters = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>"


def bare_xml(name: str, arguments: dict[str, Any]) -> str:
    return xml(name, arguments).removeprefix("<tool_call>\n").removesuffix("\n</tool_call>")


def fenced(name: str, arguments: dict[str, Any]) -> str:
    return f"I will do this:\n```json\n{json.dumps({'name': name, 'arguments': arguments})}\n```"


def bare_json(name: str, arguments: dict[str, Any]) -> str:
    return f"Next:\n{json.dumps({'name': name, 'arguments': arguments})}"


def mistral(name: str, arguments: dict[str, Any]) -> str:
    return f"[TOOL_CALLS]{name}[ARGS]{json.dumps(arguments)}"


def leaked(turn: Turn, write: Callable[[str, dict[str, Any]], str], *, into_thinking: bool = False) -> Turn:
    texts = []
    for name, arguments in turn.calls:
        assert isinstance(arguments, dict)
        texts.append(write(name, arguments))
    text = "\n".join(texts)
    return Turn(thinking=f"I call it.\n{text}") if into_thinking else Turn(text=text)


@pytest.mark.parametrize("write", [hermes, xml, bare_xml, fenced, bare_json, mistral])
def test_a_run_in_which_every_call_leaks_as_text_is_solved(
    coder: Coder, write: Callable[[str, dict[str, Any]], str]
) -> None:
    with scripted([leaked(turn, write) for turn in SOLVES]) as server:
        done = coder(server)
    assert (done.exit, done.result["status"]) == (0, "solved"), done.stderr
    assert done.result["usage"]["tool_calls"] == len(SOLVES)


@pytest.mark.parametrize("write", [hermes, xml])
def test_a_run_in_which_every_call_leaks_into_the_thoughts_is_solved(
    coder: Coder, write: Callable[[str, dict[str, Any]], str]
) -> None:
    with scripted([leaked(turn, write, into_thinking=True) for turn in SOLVES]) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr


# -- answers without a call --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(Turn(thinking="I should look at the file first."), id="only thoughts"),
        pytest.param(Turn(thinking="so I think", text="so I think"), id="a thought repeated as the answer"),
        pytest.param(Turn(text="I will start by", finish="length"), id="cut by length"),
        pytest.param(Turn(text=""), id="empty"),
        pytest.param(Turn(text="All done, every test passes now!"), id="a claim"),
    ],
)
def test_an_answer_without_a_call_is_not_the_end(coder: Coder, odd: Turn) -> None:
    with scripted([LIST, odd, *SOLVES[1:]]) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    nudge = server.requests[2].body["messages"][-1]["content"]
    assert len(nudge) < 120, "a short word, without an example that a weak model would copy"


# -- calls that cannot be run ------------------------------------------------------------------------------------------


def test_cut_arguments_run_nothing_and_never_go_back_to_the_server(coder: Coder) -> None:
    cut = Turn(calls=[("bash", '{"command": "touch made; rm -rf .')], finish="length")
    with scripted([cut, *SOLVES]) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    history = server.requests[-1].body["messages"]
    sent = [call["function"]["arguments"] for m in history for call in m.get("tool_calls", [])]
    assert all(isinstance(json.loads(arguments), dict) for arguments in sent)
    assert history[3]["content"].startswith("The call could not be read")
    assert "made" not in history[5]["content"], "part of a cut command was run"


def test_an_unknown_tool_is_told_the_known_ones(coder: Coder) -> None:
    with scripted([Turn(calls=[("teleport", {"to": "calc.py"})]), *SOLVES]) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    told = server.requests[1].body["messages"][-1]["content"]
    assert all(name in told for name in ("bash", "str_replace_editor", "submit"))


def test_made_up_names_of_tools_lead_to_the_real_ones(coder: Coder) -> None:
    turns = [
        Turn(calls=[("execute_bash", {"cmd": "ls"})]),
        Turn(calls=[("read_file </parameter", {"file_path": "calc.py"})]),
        Turn(calls=[("replace_in_file", {"path": "calc.py", "old_string": "a - b", "new_string": "a + b"})]),
        Turn(calls=[("pytest", {})]),
        Turn(calls=[("finish", {"message": "the sign was wrong"})]),
    ]
    with scripted(turns) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr


def test_the_same_call_for_ever_is_stopped(coder: Coder) -> None:
    with scripted([LIST], after="repeat") as server:
        done = coder(server)
    assert (done.exit, done.result["reason"]) == (1, "stuck")
    assert len(server.requests) <= 12


# -- servers in trouble ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param([Turn(status=503, body="full"), Turn(status=503, body="full")], id="two 503s"),
        pytest.param([Turn(status=429, body="slow", headers={"Retry-After": "0"})], id="429"),
        pytest.param([Turn(calls=LIST.calls, die_after=3)], id="dies in the middle of a call"),
        pytest.param([Turn(text="x", error_after=1)], id="an error inside the stream"),
    ],
)
def test_a_passing_trouble_costs_a_retry_and_no_call_is_run_twice(coder: Coder, trouble: list[Turn]) -> None:
    with scripted([*trouble, *SOLVES]) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    assert done.result["usage"]["tool_calls"] == len(SOLVES)
    assert "retry" in done.stderr


def test_a_prompt_that_does_not_fit_is_made_shorter(coder: Coder) -> None:
    with scripted([LIST, READ, TEST, Turn(overflow=True), EDIT, TEST, SUBMIT]) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    assert "old results were left out" in done.stderr


def test_a_server_that_is_still_loading_is_waited_for(coder: Coder) -> None:
    with scripted(SOLVES, loading=2) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr


# -- thoughts and output -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content", "inline"])
def test_thoughts_are_kept_under_whatever_name_they_come(coder: Coder, field: str) -> None:
    turns = [replace(turn, thinking=f"thought {n}", thinking_field=field) for n, turn in enumerate(SOLVES)]
    with scripted(turns) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    said = [m for m in server.requests[-1].body["messages"] if m["role"] == "assistant"]
    assert [m["reasoning"] for m in said] == [f"thought {n}" for n in range(len(SOLVES) - 1)]
    assert [m["reasoning_content"] for m in said] == [m["reasoning"] for m in said]


def test_390_kilobytes_of_output_cost_the_prompt_little(coder: Coder) -> None:
    flood = Turn(calls=[("bash", {"command": "python3 -c \"print('line of output ' * 26000)\""})])
    with scripted([flood, *SOLVES]) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    assert 1000 < len(server.requests[1].body["messages"][-1]["content"]) < 12_000


def test_nothing_is_asked_beside_the_turns_and_every_prompt_begins_with_the_one_before(coder: Coder) -> None:
    with scripted(SOLVES) as server:
        done = coder(server)
    assert done.exit == 0, done.stderr
    assert len(server.requests) == len(SOLVES)
    sent = [request.body["messages"] for request in server.requests]
    assert all(after[: len(before)] == before for before, after in pairwise(sent))


def test_what_was_thought_and_what_was_allowed_are_in_the_result(coder: Coder, tmp_path: Path) -> None:
    long = replace(LIST, calls=[], thinking="I turn it over and over.\n" * 300)
    turns = [long, LIST, *(replace(turn, thinking="hm") for turn in SOLVES[1:])]
    with ScriptedServer(turns, model="nvidia/nemotron-3-super") as server:
        done = coder(server, "--thinking", "200", "--session", str(tmp_path / "session"))
    assert done.exit == 0, done.stderr
    thinking = done.result["thinking"]
    assert thinking["allowed"] == {"diagnosis": "200", "routine": "200"}
    assert (thinking["cuts"], thinking["spent"] > 200) == (1, True)
    assert "thought" in done.stderr
    assert "of 200, cut" in done.stderr
    journal = [json.loads(line) for line in (tmp_path / "session" / "journal.jsonl").read_text().splitlines()]
    answers = [event for event in journal if event["type"] == "AssistantMessage"]
    assert all(event["allowed"] == 200 for event in answers)
    assert answers[0]["spent"]["thinking_tokens"] <= 220 + 32
