"""What an earlier examination found is used from the first request on."""

from dataclasses import replace
from pathlib import Path

import pytest

from coder.config import ENGINEER, Config
from coder.model.client import ModelClient
from coder.model.endpoint import connect
from coder.model.facts import Facts, save
from coder.model.retry import Timeouts
from coder.model.roles import connect_role
from coder.model.thinking import Thinking
from tests.model.support import ASK, NEMOTRON, endpoint
from tests.scripted_server import ScriptedServer, Turn


async def test_a_field_that_was_refused_is_not_sent_again() -> None:
    with ScriptedServer([Turn(text="fine")]) as server:
        model = ModelClient(endpoint(server), NEMOTRON, facts=Facts(refused=("top_p",)))
        await model.stream(ASK)
        await model.close()
    assert "top_p" not in server.requests[0].body


async def test_thoughts_that_come_in_the_content_are_cut_in_the_very_first_answer() -> None:
    turns = [Turn(text="one thought after the other\n" * 200), Turn(text="the answer")]
    with ScriptedServer(turns) as server:
        model = ModelClient(endpoint(server), NEMOTRON, facts=Facts(reasoning_separated=False))
        reply = await model.stream(ASK, thinking=Thinking(100))
        await model.close()
    assert (reply.text, reply.cuts) == ("the answer", 1)
    assert len(reply.thinking) // 4 <= 110 + 32


async def test_a_smaller_real_context_counts_more_than_the_claimed_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with ScriptedServer([], context=32768) as server:
        found, _ = await connect(server.base_url, None, None)
        save(found, Facts(context=8192, refused=("seed",)))
        connected = await connect_role(Config(base_url=server.base_url), ENGINEER)
    assert connected.endpoint == replace(found, context_length=8192)
    assert connected.facts == Facts(context=8192, refused=("seed",))


@pytest.mark.parametrize(
    ("rate", "context", "first"), [(None, 131072, 600.0), (1000.0, 131072, 600.0), (50.0, 131072, 3932.16)]
)
def test_a_slow_reader_is_given_the_time_that_a_full_context_takes(
    rate: float | None, context: int, first: float
) -> None:
    assert Timeouts.allowing(rate, context).first == first
