"""The embedded server: a child process with the real llama.cpp, and the real small model where it is marked."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from coder.errors import ModelUnavailable, UsageError
from coder.model import messages, serve, weights
from coder.model.client import ModelClient
from coder.model.endpoint import connect
from coder.model.serve import EmbeddedServer, cores, embedded, model_name

ROOT = Path(__file__).parents[2]
PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
BASH = {
    "type": "function",
    "function": {"name": "bash", "description": "Run a command.", "parameters": PARAMETERS},
}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "qwen2.5-coder-1.5b"),
        ("Qwen2.5-Coder-7B-Instruct.Q8_0.gguf", "qwen2.5-coder-7b"),
        ("model-f16.gguf", "model"),
        ("plain.gguf", "plain"),
    ],
)
def test_a_model_is_served_under_its_files_name(file: str, name: str) -> None:
    assert model_name(Path(file)) == name


def test_there_is_at_least_one_core_and_no_more_than_we_may_use() -> None:
    assert 1 <= cores() <= len(os.sched_getaffinity(0))


async def test_bad_weights_are_said_in_llama_cpps_own_words(tmp_path: Path) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(b"GGUF" + b"\0" * 100)
    server = EmbeddedServer(file)
    with pytest.raises(UsageError, match=r"cannot load .*bad\.gguf") as caught:
        await server.start()
    log = Path(caught.value.hint.rpartition(" ")[2])
    assert "failed to load model" in log.read_text()
    log.unlink()


async def test_a_taken_port_is_said(tmp_path: Path) -> None:
    file = tmp_path / "any.gguf"
    file.write_bytes(b"GGUF")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = EmbeddedServer(file, port=taken.getsockname()[1])
        with pytest.raises(UsageError, match="is taken") as caught:
            await server.start()
    assert "--port" in caught.value.hint


async def test_a_spec_that_cannot_be_had_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.gguf"):
        async with embedded(str(tmp_path / "nowhere.gguf")):
            pytest.fail("there is nothing to serve")


async def test_a_missing_library_is_said_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match="not installed") as caught:
        await EmbeddedServer(tmp_path / "any.gguf").start()
    assert "pip install xllamacpp" in caught.value.hint


@pytest.fixture(autouse=True)
def _logs_in_the_tests_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def model_file() -> Path:
    file = weights.cached()
    assert file is not None
    return file


@pytest.mark.model
@pytest.mark.slow
async def test_the_small_model_is_served_recognised_answers_and_calls(model_file: Path) -> None:
    told: list[str] = []
    async with embedded(str(model_file), context=2048, report=told.append) as url:
        endpoint, profile = await connect(url, None, None)
        assert (endpoint.backend.name, endpoint.context_length) == ("llama.cpp", 2048)
        assert (endpoint.model, profile.name) == ("qwen2.5-coder-1.5b", "small-coder")
        model = ModelClient(endpoint, profile)
        ask = [messages.user("Reply with the one word: yes")]
        first = await model.stream(ask, max_tokens=8)
        again = await model.stream(ask, max_tokens=8)
        leaked = await model.stream(
            [messages.user("List the files here with ls.")], tools=[BASH], max_tokens=48
        )
        await model.close()
        assert _allowed_origin(url) != "http://evil.example"
    assert "yes" in first.text.lower()
    assert (first.usage.prompt, first.text) == (again.usage.prompt, again.text)
    assert again.usage.cached > 0
    # it writes its calls as a fenced block of JSON, which llama.cpp leaves in the text
    assert (leaked.calls[0].name, leaked.recovered) == ("bash", 1)
    assert leaked.calls[0].arguments["command"].startswith("ls")
    assert told[0] == "loading qwen2.5-coder-1.5b"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(url.split(":")[2].removesuffix("/v1"))))


@pytest.mark.model
@pytest.mark.slow
def test_coder_serve_serves_until_ctrl_c_and_leaves_nothing(model_file: Path) -> None:
    flags = ["--model", str(model_file), "--port", "0", "--context", "1024", "--slots", "3"]
    command = [sys.executable, "-m", "coder", "serve", *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    url = next(word for line in lines for word in line.split() if word.startswith("http"))
    assert urllib.request.urlopen(f"{url}/models", timeout=10).status == 200
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/props", timeout=10) as answer:
        assert json.load(answer)["total_slots"] == 3
    child = _children(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert process.stdout.read() == "stopped\n"
    process.stdout.close()
    assert _all_gone(child)


@pytest.mark.model
@pytest.mark.slow
def test_the_server_dies_with_whoever_started_it(model_file: Path) -> None:
    code = (
        "import asyncio, sys, pathlib\n"
        "from coder.model.serve import EmbeddedServer\n"
        "async def main():\n"
        f"    await EmbeddedServer(pathlib.Path({str(model_file)!r}), context=1024).start()\n"
        "    print('up', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    child = _children(process.pid)
    assert child
    process.kill()
    process.wait()
    process.stdout.close()
    assert _all_gone(child)


async def test_cancelling_while_it_loads_ends_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = tmp_path / "hangs.py"
    hangs.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(serve, "_CHILD", hangs)
    server = EmbeddedServer(tmp_path / "any.gguf")
    starting = asyncio.create_task(server.start())
    await asyncio.sleep(0.2)
    children = _children(os.getpid())
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert children
    assert _all_gone(children)


async def test_a_server_that_never_loads_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = tmp_path / "hangs.py"
    hangs.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(serve, "_CHILD", hangs)
    with pytest.raises(ModelUnavailable, match="did not load"):
        await EmbeddedServer(tmp_path / "any.gguf").start(timeout=0.2)


async def test_a_server_that_crashes_is_said_with_its_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = tmp_path / "crashes.py"
    crashes.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setattr(serve, "_CHILD", crashes)
    with pytest.raises(ModelUnavailable, match="killed by signal 9"):
        await EmbeddedServer(tmp_path / "any.gguf").start()


def _allowed_origin(url: str) -> str:
    request = urllib.request.Request(f"{url}/models", headers={"Origin": "http://evil.example"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.headers["Access-Control-Allow-Origin"])


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _all_gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}/exe").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False
