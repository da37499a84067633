"""A server that dies in the middle of an answer."""

from __future__ import annotations

import time

import pytest

from coder.errors import ModelUnavailable, StreamBroken
from coder.model.messages import Delta
from coder.model.retry import Retries
from tests.live.servers import Farm
from tests.live.support import IMPATIENT, OFF, asking, client_of, endless, report
from tests.model.support import Heard

pytestmark = pytest.mark.live


async def test_the_death_of_the_server_in_mid_answer_is_reported_after_the_retries(
    kind: str, farm: Farm
) -> None:
    server = farm.ready(kind)
    client = await client_of(server, IMPATIENT, **endless(server))
    heard = Heard()

    async def die_at_once(delta: Delta) -> None:
        if server.alive:
            server.kill()

    began = time.monotonic()
    try:
        with pytest.raises((ModelUnavailable, StreamBroken)) as told:
            await client.stream(
                asking("Count to a thousand."),
                max_tokens=4000,
                thinking=OFF,
                on_delta=die_at_once,
                on_retry=heard.on_retry,
            )
    finally:
        await client.close()
    assert not server.alive
    assert heard.retries, "nothing was tried again"
    report(
        f"{kind} killed in mid-answer: {len(heard.retries)} retries, {time.monotonic() - began:.1f} s, {told.value}"
    )


@pytest.mark.live("llama.cpp", "llama.cpp-nemotron")
async def test_after_a_restart_the_same_request_gets_one_whole_answer(kind: str, farm: Farm) -> None:
    server = farm.ready(kind)
    client = await client_of(
        server, Retries(busy=200, broken=2, loading=300.0, base=0.2, cap=1.0), **endless(server)
    )
    heard = Heard()
    restarted = False

    async def replace_the_server(delta: Delta) -> None:
        nonlocal restarted
        await heard.on_delta(delta)
        if len(heard.deltas) == 5 and not restarted:
            restarted = True
            server.kill()
            farm.launched(kind, server.port)

    try:
        reply = await client.stream(
            asking("Count to a thousand."),
            max_tokens=24,
            thinking=OFF,
            on_delta=replace_the_server,
            on_retry=heard.on_retry,
        )
    finally:
        await client.close()
    assert heard.retries
    assert reply.usage.completion == 24
    assert reply.text == "".join(delta.text for delta in heard.deltas[5:]), "the two attempts were mixed"
