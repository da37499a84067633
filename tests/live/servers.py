"""The real servers of the live tests: child processes on loopback, one at a time, each started when first wanted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from coder.model import weights
from coder.model.serve import cores

_HERE = Path(__file__).parent
KINDS = ("llama.cpp", "llama.cpp-nemotron", "vllm", "vllm-nemotron")
FAULTY = ("llama.cpp-faulty", "llama.cpp-no-jinja", "vllm-faulty")
"""Started wrongly: no reasoning parser, no cache, a context of 2,048 tokens, and on vLLM no tool parser; no tools."""
NEMOTRON = "nvidia/nemotron-3-super"
QWEN = "qwen2.5-coder-1.5b"
_READY_SECONDS = 900.0


def say(text: str) -> None:
    print(f"live: {text}", flush=True)


def missing(kind: str) -> str:
    """Why a server of this kind cannot be started here; empty when it can."""
    if weights.cached() is None:
        return "the small model is not in the cache: make test-live fetches it"
    if kind.startswith("vllm") and not (_vllm_home() / ".installed").exists():
        return f"not installed: bash {_HERE.relative_to(Path.cwd())}/vllm_cpu.sh install"
    return ""


@dataclass(slots=True)
class Server:
    """One server process. `base_url` ends in /v1, `root` does not."""

    kind: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    started: float = field(default_factory=time.monotonic)
    ready_after: float = 0.0

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.root}/v1"

    @property
    def nemotron(self) -> bool:
        return self.kind.endswith(("nemotron", "faulty"))

    @property
    def vllm(self) -> bool:
        return self.kind.startswith("vllm")

    @property
    def model(self) -> str:
        return NEMOTRON if self.nemotron else QWEN

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_until_ready(self) -> None:
        """Raises pytest's failure with the log's end when the server dies, or takes too long."""
        told = time.monotonic()
        while self.status("/health") != 200:
            waited = time.monotonic() - self.started
            if not self.alive or waited > _READY_SECONDS:
                pytest.fail(
                    f"{self.kind} did not start within {waited:.0f} s:\n{self.log_end()}", pytrace=False
                )
            if time.monotonic() - told > 15:
                told = time.monotonic()
                say(f"{self.kind} is loading ({waited:.0f} s): {self.log_end(1)[-110:].strip()}")
            time.sleep(0.3)
        if not self.ready_after:
            self.ready_after = time.monotonic() - self.started
            say(f"{self.kind} is ready after {self.ready_after:.0f} s at {self.base_url}")

    def status(self, path: str) -> int:
        """The HTTP status of a GET; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(self.root + path, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return int(refusal.code)
        except OSError:
            return 0

    def running_requests(self) -> int:
        """How many requests the server works on, by its own metrics."""
        name = "vllm:num_requests_running" if self.vllm else "llamacpp:requests_processing"
        with urllib.request.urlopen(f"{self.root}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        values = [float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        assert values, f"{self.kind} has no metric {name}"
        return int(sum(values))

    def count(self, text: str) -> int:
        """Tokens of a text, by the server's own tokenizer."""
        if self.vllm:
            body = {"model": self.model, "prompt": text, "add_special_tokens": False}
            return int(self.post("/tokenize", body)["count"])
        return len(self.post("/tokenize", {"content": text, "add_special": False})["tokens"])

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.root + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def log_end(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def kill(self) -> None:
        """End it at once, with all that it started; nothing is said to its clients."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                say(f"{self.kind} does not end by itself")
                self.kill()


class Farm:
    """Starts servers; the one that runs is stopped before another kind starts."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._server: Server | None = None
        self.history: list[Server] = []

    def launched(self, kind: str, port: int = 0) -> Server:
        """The server of this kind, perhaps still loading."""
        if why := missing(kind):
            pytest.fail(f"{kind}: {why}", pytrace=False)
        if self._server and self._server.kind == kind and self._server.alive:
            return self._server
        self.stop()
        port = port or _free_port()
        log = self._logs / f"{kind}-{len(self.history)}.log"
        say(f"starting {kind}, its log is {log}")
        with log.open("wb") as output:
            process = subprocess.Popen(
                _command(kind, port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={"GOMP_SPINCOUNT": "100000"} | os.environ,  # as the embedded server: idle threads rest
            )
        self._server = Server(kind, port, process, log)
        self.history.append(self._server)
        return self._server

    def ready(self, kind: str) -> Server:
        server = self.launched(kind)
        server.wait_until_ready()
        return server

    def stop(self) -> None:
        if self._server:
            self._server.stop()
            self._server = None


def _command(kind: str, port: int) -> list[str]:
    model = str(weights.cached())
    if kind == "llama.cpp":
        return [sys.executable, "-m", "coder", "serve", "--port", str(port)]
    if kind.startswith("llama.cpp"):
        settings = {
            "weights": model,
            "name": QWEN if kind == "llama.cpp-no-jinja" else NEMOTRON,
            "port": port,
            "context": 2048 if kind == "llama.cpp-faulty" else 16384,
            "threads": cores(),
            "template": "" if kind == "llama.cpp-no-jinja" else str(_HERE / "nemotron3.jinja"),
            "jinja": kind != "llama.cpp-no-jinja",
            "faulty": kind == "llama.cpp-faulty",
        }
        return [sys.executable, str(_HERE / "llama_child.py"), json.dumps(settings)]
    mode = kind.removeprefix("vllm").removeprefix("-") or "plain"
    return ["bash", str(_HERE / "vllm_cpu.sh"), "serve", mode, str(port), model]


def _vllm_home() -> Path:
    cache = _CACHE or Path.home() / ".cache" / "coder-servers"
    (version,) = [
        line.removeprefix("VLLM=")
        for line in (_HERE / "vllm_cpu.sh").read_text().splitlines()
        if line.startswith("VLLM=")
    ]
    return Path(cache) / f"vllm-cpu-{version}"


_CACHE = os.environ.get("CODER_CACHE", "")  # read now: tests run without the user's settings


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
