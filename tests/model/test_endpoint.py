"""Finding a server: recognised from the wire, named or looked for, and clear words when it is not there."""

import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from coder.errors import ConfigError, ModelRejected, ModelUnavailable, UsageError
from coder.model import endpoint
from coder.model.backends import Backend, recognise, refine, served_models
from coder.model.endpoint import connect, normalise
from coder.model.wire import Answer, is_loopback
from tests.scripted_server import ScriptedServer

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("localhost:8000", "http://localhost:8000/v1"),
        ("https://host/openai/v1/chat/completions", "https://host/openai/v1"),
        ("https://host/api/v3", "https://host/api/v3"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_a_url_is_brought_into_one_form(given: str, url: str) -> None:
    assert normalise(given) == url


@pytest.mark.parametrize(
    "given", ["ftp://host/v1", "file:///etc/passwd", "http://", "http://host:port/v1", "http://h:99999"]
)
def test_what_is_no_web_address_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        normalise(given)
    assert "http://127.0.0.1:8000/v1" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "backend", "context"),
    [
        ("vllm", Backend("vllm", "0.32.0"), 4096),
        ("llama.cpp", Backend("llama.cpp", "b11434"), 4096),
        ("generic", Backend(), None),
    ],
)
async def test_a_server_is_recognised_with_its_context_length(
    kind: str, backend: Backend, context: int | None
) -> None:
    with ScriptedServer([], kind=kind, model="nemotron-3-super", context=4096) as server:
        found, profile = await connect(server.base_url, None, None)
    assert (found.backend, found.context_length, found.model) == (backend, context, "nemotron-3-super")
    assert profile.name == "nemotron-3-super"
    assert server.base_url in found.why


async def test_the_first_usual_port_that_serves_a_model_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer([], model="qwen2.5-coder-1.5b") as server, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # accepts and never answers
        ports = (silent.getsockname()[1], _free_port(), server.port)
        monkeypatch.setattr(endpoint, "USUAL_PORTS", ports)
        started = time.monotonic()
        found, profile = await connect(None, None, "a-secret")
        assert time.monotonic() - started < 1.5
    assert (found.base_url, profile.name) == (server.base_url, "small-coder")
    assert found.api_key == ""  # nobody knows whose server that is


async def test_nobody_on_this_machine_is_said_at_once_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "USUAL_PORTS", (_free_port(), _free_port()))
    started = time.monotonic()
    with pytest.raises(ModelUnavailable) as caught:
        await connect(None, None, None)
    assert time.monotonic() - started < 1.0
    assert all(word in caught.value.hint for word in ("--base-url", "coder serve"))


async def test_a_named_server_that_is_not_there() -> None:
    with pytest.raises(ModelUnavailable, match="refused"):
        await connect(f"http://127.0.0.1:{_free_port()}/v1", None, None)


async def test_a_server_that_wants_a_key() -> None:
    with ScriptedServer([], api_key="secret") as server:
        with pytest.raises(ModelRejected) as caught:
            await connect(server.base_url, None, None)
        found, _ = await connect(server.base_url, None, "secret")
    assert "CODER_API_KEY" in caught.value.hint
    assert "secret" not in repr(found)


async def test_a_key_that_cannot_be_sent_is_refused_before_it_is() -> None:
    with pytest.raises(ConfigError, match="key"):
        await connect("http://127.0.0.1:1/v1", None, "se\ncret")


async def test_a_model_is_found_by_a_part_of_its_name() -> None:
    with ScriptedServer([], model="nvidia/NVIDIA-Nemotron-3-Super-120B") as server:
        found, _ = await connect(server.base_url, "nemotron-3-super", None)
    assert found.model == "nvidia/NVIDIA-Nemotron-3-Super-120B"


async def test_a_model_that_is_not_served_is_said_with_the_list_of_those_that_are() -> None:
    with ScriptedServer([], model="other-model") as server, pytest.raises(UsageError) as caught:
        await connect(server.base_url, "nope", None)
    assert "other-model" in caught.value.hint


async def test_llama_cpp_serves_its_model_under_any_name() -> None:
    with ScriptedServer([], kind="llama.cpp", model="file.gguf", context=4096) as server:
        found, profile = await connect(server.base_url, "nemotron-3-super", None)
    assert (found.model, found.context_length, profile.name) == ("nemotron-3-super", 4096, "nemotron-3-super")


async def test_the_named_profile_wins() -> None:
    with ScriptedServer([], model="qwen2.5-coder-1.5b") as server:
        _, profile = await connect(server.base_url, None, None, profile="generic")
        assert profile.name == "generic"
        with pytest.raises(ConfigError):
            await connect(server.base_url, None, None, profile="nope")


async def test_a_server_without_a_list_of_models_is_used_when_the_model_is_named() -> None:
    with ScriptedServer([], kind="generic") as server:
        base = server.base_url.replace("/v1", "/other")
        found, _ = await connect(base, "my-model", None)
        assert (found.model, found.backend) == ("my-model", Backend())
        with pytest.raises(UsageError) as caught:
            await connect(base, None, None)
    assert "--model" in caught.value.hint


def _models(data: list[dict[str, object]], **headers: str) -> Answer:
    import json

    return Answer(200, json.dumps({"data": data}).encode(), headers)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (_models([{"id": "m", "owned_by": "sglang"}]), "sglang"),
        (_models([{"id": "m", "owned_by": "tensorrt_llm"}]), "tensorrt-llm"),
        (_models([{"id": "m", "owned_by": "me"}]), "llama-cpp-python"),
        (_models([{"id": "m", "owned_by": "library"}]), "ollama"),
        (_models([{"id": "m", "owned_by": "organization_owner"}]), "lm-studio"),
        (_models([{"id": "m"}], **{"x-litellm-version": "1.1"}), "litellm"),
        (_models([{"id": "m", "owned_by": "x"}]), "generic"),
    ],
)
def test_other_servers_are_named_by_their_tell_tales(answer: Answer, name: str) -> None:
    models = served_models(answer)
    assert models is not None
    assert recognise(answer, models).name == name


def test_details_fill_in_what_the_list_of_models_leaves_out() -> None:
    running = Answer(200, b'{"models": [{"name": "qwen:7b", "context_length": 4096}]}')
    version = Answer(200, b'{"version": "0.9"}')
    told = refine(Backend("ollama"), "qwen:7b", {"/api/version": version, "/api/ps": running})
    assert told == (Backend("ollama", "0.9"), 4096)
    assert refine(Backend("ollama"), "other", {"/api/version": Answer(0)}) == (Backend("ollama"), None)
    nim = Answer(200, b'{"version": "1.2", "modelInfo": []}')
    assert refine(Backend(), "m", {"/v1/metadata": nim})[0] == Backend("nim", "1.2")


@pytest.mark.parametrize(
    "answer",
    [Answer(0), Answer(404, b"{}"), Answer(200, b"<html>"), Answer(200, b"[]"), Answer(200, b'{"data": 5}')],
)
def test_what_is_no_list_of_models_is_not_taken_for_one(answer: Answer) -> None:
    assert served_models(answer) is None


def test_entries_that_are_no_models_are_passed_over() -> None:
    assert served_models(_models([{"id": 5}, {}, {"id": "m", "max_model_len": "long"}])) is not None


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
    ],
)
def test_loopback_is_told_by_the_literal_address(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{_free_port()}")
    with ScriptedServer([]) as server:
        assert (await connect(server.base_url, None, None))[0].model == "scripted"


def test_finding_a_server_does_not_import_the_client_library() -> None:
    code = (
        "import asyncio, sys\n"
        "from coder.model.endpoint import connect\n"
        "from coder.model.client import ModelClient\n"
        "endpoint, profile = asyncio.run(connect(sys.argv[1], None, None))\n"
        "ModelClient(endpoint, profile)\n"
        "print([name for name in ('openai', 'httpx', 'httpx2', 'json_repair', 'xllamacpp') if name in sys.modules])\n"
    )
    with ScriptedServer([]) as server:
        done = subprocess.run(
            [sys.executable, "-c", code, server.base_url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.strip() == "[]"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_ports_that_accept_and_say_nothing_do_not_hide_the_one_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All are asked side by side, more of them than there are processors."""
    with ExitStack() as stack, ScriptedServer([]) as server:
        mute = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(12)]
        ports = (*(each.getsockname()[1] for each in mute), server.port)
        monkeypatch.setattr(endpoint, "USUAL_PORTS", ports)
        found, _ = await connect(None, None, None)
    assert found.base_url == server.base_url
