"""Ctrl-C in the middle of a long generation, through the whole program: the server has nothing to do a second later."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.live.servers import Server
from tests.live.support import report

# No thinking, and no end of the answer before the 4,000 tokens: what it writes does not matter here.
PROFILE = """
match = []
temperature = 0.0
max_tokens = 4000

[extra]
ignore_eos = true
"""


@pytest.mark.live("llama.cpp", "vllm")
def test_the_server_is_idle_a_second_after_ctrl_c(server: Server, kind: str, tmp_path: Path) -> None:
    profile = tmp_path / "endless.toml"
    profile.write_text(PROFILE)
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "notes.txt").write_text("nothing to do here\n")
    coder = [sys.executable, "-m", "coder", "run", "count to a thousand", "-C", str(repository), "--base-url"]
    flags = [server.base_url, "--profile", str(profile), "--strategy", "agent", "--output-format", "json"]
    process = subprocess.Popen([*coder, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        _wait_until_writing(server, process)
        process.send_signal(signal.SIGINT)
        pressed = time.monotonic()
        while server.running_requests() and time.monotonic() - pressed < 30:
            time.sleep(0.05)
        idle_after = time.monotonic() - pressed
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    report(f"{kind}: idle {idle_after:.2f} s after Ctrl-C")
    assert process.returncode == 130, stderr
    assert '"status": "interrupted"' in stdout
    assert idle_after <= 1.0


def _wait_until_writing(server: Server, process: subprocess.Popen[str]) -> None:
    """Until the prompt is read and tokens are being written: an answer of 4,000 takes minutes here."""
    deadline = time.monotonic() + 300
    before = _steps(server)
    while _steps(server) <= before + 25:
        assert process.poll() is None, "the run ended by itself"
        assert time.monotonic() < deadline, "the server writes nothing"
        time.sleep(0.2)


def _steps(server: Server) -> float:
    """A figure of the server's that grows with each token, and hardly while it reads a prompt."""
    name = "vllm:generation_tokens_total" if server.vllm else "llamacpp:n_decode_total"
    with urllib.request.urlopen(f"{server.root}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))
