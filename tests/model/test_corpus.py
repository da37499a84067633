"""Every malformed call of the corpus, played as a server sends it: what runs, or what the model is told."""

from __future__ import annotations

import json
import re

import pytest

from coder.model import messages
from coder.model.profile import load_profile
from tests.model.played import Case, corpus, outcome, reply_to

CASES = corpus()
SIZES = (1, 7, 100_000)
"""Characters a chunk."""


def cases(shown: bool) -> list[object]:
    return [pytest.param(case, id=case.id) for case in CASES if case.id.startswith("shown-") == shown]


@pytest.mark.parametrize("case", cases(shown=False))
def test_what_is_meant_comes_out_or_a_short_refusal(case: Case) -> None:
    for size in SIZES:
        reply = reply_to(case.chunks(size))
        outcomes = [outcome(call) for call in reply.calls]
        if case.refusal:
            (told,) = outcomes
            assert isinstance(told, str), told
            assert case.refusal in told
        else:
            assert outcomes == case.calls
        if case.left is not None:
            assert reply.text == case.left


@pytest.mark.parametrize("case", cases(shown=True))
def test_what_merely_shows_a_call_stays_text(case: Case) -> None:
    for size in SIZES:
        reply = reply_to(case.chunks(size))
        assert reply.calls == ()
        assert (reply.thinking if case.where == "reasoning" else reply.text) == case.text


@pytest.mark.parametrize("case", cases(shown=False))
def test_refusals_are_short_and_hold_no_example_that_a_model_could_copy(case: Case) -> None:
    for told in map(outcome, reply_to(case.chunks(100_000)).calls):
        if isinstance(told, str):
            assert len(told) < 120
            assert not re.search(r"[{}<>]|e\.g\.|example", told)


@pytest.mark.parametrize("case", cases(shown=False))
def test_history_holds_canonical_json_and_nothing_of_what_could_not_be_read(case: Case) -> None:
    reply = reply_to(case.chunks(100_000))
    turn = messages.assistant(reply, load_profile("nemotron-3-super"))
    for call, sent in zip(reply.calls, turn.get("tool_calls", []), strict=True):
        arguments = sent["function"]["arguments"]
        assert json.loads(arguments, parse_constant=pytest.fail) == json.loads(
            messages.canonical_json(call.arguments)
        )
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", sent["function"]["name"])
        assert not (call.error and arguments != "{}")


def test_the_corpus_is_large_and_every_entry_says_where_it_comes_from() -> None:
    shown = [case for case in CASES if case.id.startswith("shown-")]
    assert len({case.id for case in CASES}) == len(CASES)
    assert len(CASES) - len(shown) >= 90
    assert len(shown) >= 20
    assert all(len(case.source) > 8 for case in CASES)
    assert all(not (case.calls or case.refusal) for case in shown)
