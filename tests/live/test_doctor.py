"""`coder doctor` on real servers: it names each fault and its flag where they were started wrongly, and finds nothing
wrong where they were not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live.servers import Server
from tests.live.support import forced, report

FAULTS = {
    "llama.cpp-faulty": {
        "reasoning": "--reasoning-format",
        "prefix cache": "--no-cache-prompt",
        "context": "-c",
    },
    "llama.cpp-no-jinja": {"tool calls": "--jinja"},
    "vllm-faulty": {
        "tool calls": "--enable-auto-tool-choice --tool-call-parser qwen3_coder",
        "reasoning": "--reasoning-parser nemotron_v3",
        "prefix cache": "--enable-prefix-caching",
        "context": "--max-model-len",
    },
}
"""What each wrongly started server has, and a part of the cure that must be named."""


THOUGHT = "I look at it from this side, and then I look at it from the other side.\n</think>\nyes"
"""What the weights, which never learnt to close a thought, are made to answer where the server should see a thought."""


def examined(server: Server, tmp_path: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    command = [
        sys.executable,
        "-m",
        "coder",
        "doctor",
        "--no-sandbox",
        "--base-url",
        server.base_url,
        "--json",
        *flags,
    ]
    done = subprocess.run(
        [*command, "--timeout", "400"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        cwd=tmp_path,
    )
    told = json.loads(done.stdout)
    for row in told["rows"]:
        report(
            f"{server.kind} doctor: {row['verdict']:<9} {row['probe']}: {row['seen'][:110]} {row['fix'][:80]}"
        )
    return done.returncode, told


@pytest.mark.live("llama.cpp", "vllm-nemotron")
def test_a_healthy_server_is_found_healthy(server: Server, tmp_path: Path) -> None:
    """Not llama.cpp behind the Nemotron template: `<think>` is no token of these weights, so it holds no budget."""
    status, told = examined(server, tmp_path)
    ill = [row for row in told["rows"] if row["verdict"] in ("degraded", "broken")]
    assert ill == []
    assert status == 0
    sure = {row["probe"] for row in told["rows"] if row["verdict"] == "ok"}
    assert sure >= {"server", "prefix cache", "context"}, "what does not depend on what the weights can"


@pytest.mark.live(*FAULTS)
def test_each_fault_of_a_wrongly_started_server_is_named_with_its_flag(
    server: Server, kind: str, tmp_path: Path
) -> None:
    flags = ["--profile", str(_thinking(server, tmp_path))] if server.nemotron else []
    status, told = examined(server, tmp_path, *flags)
    rows = {row["probe"]: row for row in told["rows"]}
    for probe, flag in FAULTS[kind].items():
        assert rows[probe]["verdict"] in ("degraded", "broken"), probe
        assert flag in rows[probe]["fix"], probe
    assert status == 1


def _thinking(server: Server, folder: Path) -> Path:
    """A profile with which every answer is a thought and its end."""
    fields = "".join(f"{name} = {_toml(value)}\n" for name, value in forced(server, THOUGHT).items())
    profile = folder / "thinking.toml"
    profile.write_text(f'base = "nemotron-3-super"\n\n[extra]\n{fields}')
    return profile


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)
