"""While the server makes us wait it is asked what it works on, and nothing of that is kept."""

from __future__ import annotations

import asyncio

import pytest

from coder import events
from coder.agent import waiting
from coder.events import Event
from coder.model.backends import Backend
from coder.model.endpoint import Endpoint
from tests.scripted_server import ScriptedServer

METRICS = "vllm:num_requests_running 8\nvllm:num_requests_waiting 2\n"


async def told(
    server: ScriptedServer, kind: str, *, begins: bool, monkeypatch: pytest.MonkeyPatch
) -> list[Event]:
    monkeypatch.setattr(waiting, "PATIENCE", 0.1)
    heard: list[Event] = []

    async def emit(event: Event) -> None:
        heard.append(event)

    endpoint = Endpoint(server.base_url, "m", backend=Backend(kind))
    begun = asyncio.Event()
    if begins:
        begun.set()
    async with waiting.load_told(endpoint, emit, begun):
        await asyncio.sleep(0.6)
    return heard


async def test_a_queue_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer([], pages={"/metrics": METRICS}) as server:
        heard = await told(server, "vllm", begins=False, monkeypatch=monkeypatch)
    assert events.ServerLoad(running=8, waiting=2) in heard
    assert all(isinstance(event, events.LOSSY) for event in heard)


async def test_nobody_is_asked_once_the_answer_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer([], pages={"/metrics": METRICS}) as server:
        assert not await told(server, "vllm", begins=True, monkeypatch=monkeypatch)
        assert not server.gets


@pytest.mark.parametrize("kind", ["vllm", "generic"])
async def test_a_server_that_does_not_tell_is_left_alone(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer([]) as server:
        assert not await told(server, kind, begins=False, monkeypatch=monkeypatch)
        assert len(server.gets) <= 2
