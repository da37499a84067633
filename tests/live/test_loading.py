"""A server that is still loading its model: it is recognised as such, and a request waits for it."""

from __future__ import annotations

import asyncio

import pytest

from coder.errors import ModelUnavailable
from coder.model.backends import Backend
from coder.model.client import ModelClient
from coder.model.endpoint import Endpoint, connect
from coder.model.profile import match_profile
from coder.model.retry import Retries
from tests.live.servers import Farm
from tests.live.support import OFF, asking
from tests.model.support import Heard

pytestmark = pytest.mark.live
# vLLM opens its port late: while it loads, connections are refused, as if no server were there.
PATIENT = Retries(busy=2000, loading=900.0, base=0.5, cap=2.0)


async def test_a_request_to_a_loading_server_waits_for_it(kind: str, farm: Farm) -> None:
    server = farm.launched(kind)
    if not server.ready_after:  # another test may have wanted it first
        with pytest.raises(ModelUnavailable):
            await connect(server.base_url, None, None)
    endpoint = Endpoint(server.base_url, server.model, backend=Backend(kind.partition("-")[0]))
    client = ModelClient(endpoint, match_profile(server.model), retries=PATIENT)
    heard = Heard()
    try:
        asked = asyncio.create_task(
            client.stream(asking("Say hello."), max_tokens=8, thinking=OFF, on_retry=heard.on_retry)
        )
        await asyncio.to_thread(server.wait_until_ready)
        reply = await asked
    finally:
        await client.close()
    assert heard.retries, "the server was ready at once: nothing was waited for"
    assert reply.usage.completion > 0
