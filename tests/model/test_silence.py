"""A silent server: at work, idle, gone, or saying nothing of itself."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from coder.errors import ModelError
from coder.model.backends import Backend
from coder.model.endpoint import Endpoint
from coder.model.load import Load, look
from coder.model.retry import Retries
from tests.model.support import ASK, GOOD, Heard, client
from tests.scripted_server import ScriptedServer, Turn

VLLM = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
vllm:num_requests_running_total_of_something_else 9.0
"""
TWO_ENGINES = 'vllm:num_requests_running{engine="0"} 1.0\nvllm:num_requests_running{engine="1"} 3.0\n'
SLOTS = json.dumps([{"id": 0, "is_processing": True}, {"id": 1, "is_processing": False}])
ITERATIONS = json.dumps([{"numActiveRequests": 0}, {"numActiveRequests": 4, "numQueuedRequests": 2}])


@pytest.mark.parametrize(
    ("server", "path", "body", "load"),
    [
        ("vllm", "/metrics", VLLM, Load(running=2, waiting=1)),
        ("vllm", "/metrics", TWO_ENGINES, Load(running=4)),
        ("vllm", "/metrics", "no figures of interest 1\n", Load()),
        (
            "sglang",
            "/metrics",
            "sglang:num_running_reqs 0.0\nsglang:num_queue_reqs 0.0\n",
            Load(running=0, waiting=0),
        ),
        ("llama.cpp", "/metrics", "llamacpp:requests_processing 1\n", Load(running=1)),
        ("llama.cpp", "/slots", SLOTS, Load(running=1)),
        ("tensorrt-llm", "/metrics", ITERATIONS, Load(running=4, waiting=2)),
        ("tensorrt-llm", "/metrics", "[]", Load()),
        ("ollama", "/elsewhere", "", Load()),
    ],
)
async def test_each_server_tells_its_load_in_its_own_way(
    server: str, path: str, body: str, load: Load
) -> None:
    with Pages({path: body}) as url:
        assert await look(Endpoint(url, "m", backend=Backend(server))) == load


async def test_a_server_that_is_gone_is_not_alive() -> None:
    with Pages({}) as url:
        pass
    for name in ("vllm", "ollama"):
        assert not (await look(Endpoint(url, "m", backend=Backend(name)))).alive


def figures(running: int) -> dict[str, str]:
    return {"/metrics": f"vllm:num_requests_running {running}\nvllm:num_requests_waiting 0\n"}


async def test_a_server_at_work_is_waited_for_and_the_request_sent_once() -> None:
    heard = Heard()
    with ScriptedServer([Turn(text="late", delay=2.0)], pages=figures(running=1)) as server:
        async with client(server, first=0.5, look=0.2) as model:
            reply = await model.stream(ASK, on_retry=heard.on_retry)
    assert reply.text == "late"
    assert len(server.requests) == 1
    assert "at work (1 running, 0 waiting)" in heard.retries[0]


async def test_a_server_with_nothing_to_do_has_lost_the_request_and_is_asked_again() -> None:
    heard = Heard()
    started = time.monotonic()
    with ScriptedServer([Turn(text="late", delay=60.0), GOOD], pages=figures(running=0)) as server:
        async with client(server, look=0.2) as model:
            reply = await model.stream(ASK, on_retry=heard.on_retry)
    assert reply.text == "fine"
    assert "has nothing to do" in heard.retries[0]
    assert time.monotonic() - started < 30


async def test_a_server_at_work_for_ever_is_given_up_in_the_end() -> None:
    with ScriptedServer([Turn(text="late", delay=60.0)], pages=figures(running=1)) as server:
        async with client(server, retries=Retries(broken=0), first=0.4, look=0.1, busy=0.5) as model:
            with pytest.raises(ModelError, match="sent nothing"):
                await model.stream(ASK)


async def test_a_stream_that_stalls_while_the_server_works_on_is_waited_for() -> None:
    turn = Turn(text="some words here", pause=1.0, piece=10)
    with ScriptedServer([turn], pages=figures(running=1)) as server:
        async with client(server, retries=Retries(broken=0), between=0.4, look=0.1) as model:
            assert (await model.stream(ASK)).text == "some words here"


class Pages:
    """A server of fixed pages; anything else is 404."""

    def __init__(self, pages: dict[str, str]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = pages.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.end_headers()
                self.wfile.write((body or "").encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
                """Silence."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
