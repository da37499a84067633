"""One scripted run, measured from outside: the process, and the server's own clock."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from coder import events
from coder.journal import FILE, load
from tests.scripted_server import ScriptedServer, Turn

CHARACTERS_PER_TOKEN = 3.6
FIX = "sed -i 's/a - b/a + b/' calc.py"
TEST = "python -m pytest -q"
COMMANDS = ["ls -la", "cat calc.py", TEST, FIX, TEST]


@dataclass(frozen=True)
class Measured:
    """Seconds, megabytes, tokens (estimated from characters), milliseconds, and a share."""

    first_request: float
    whole: float
    memory_mb: float
    prompt_tokens: float
    overhead_ms: float
    append_only: float

    @classmethod
    def median(cls, rows: list[Measured]) -> Measured:
        return cls(*(statistics.median(column) for column in zip(*map(astuple, rows), strict=True)))


def small_repository(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (path / "test_calc.py").write_text(
        "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    )
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    return path


def large_repository(path: Path, files: int = 6900) -> Path:
    """As many files as Django has, of its usual size (4 kB), beside the same bug."""
    small_repository(path)
    for number in range(files):
        folder = path / f"package{number // 100}"
        folder.mkdir(exist_ok=True)
        (folder / f"module{number}.py").write_text(f"# module {number}\n" + "x = 1  # filling\n" * 240)
    return path


def measure_coder(repository: Path, place: Path) -> Measured:
    turns = [Turn(calls=[("bash", {"command": command})]) for command in COMMANDS]
    turns.append(Turn(calls=[("submit", {"summary": "add subtracted"})]))
    session = place / f"session-{time.monotonic_ns()}"
    with ScriptedServer(turns, model="nemotron-3-super", after="repeat") as server:
        command = [
            sys.executable,
            "-m",
            "coder",
            "fix",
            "failing test",
            "-C",
            str(repository),
            "--headless",
            "-q",
        ]
        command += ["--base-url", server.base_url, "--session", str(session), "--output-format", "json"]
        first, whole, memory = _run(command, server, {})
        bodies = [request.body for request in server.requests]
    return Measured(first, whole, memory, _tokens(bodies[0]), _overhead(session), _append_only(bodies))


def measure_mini(mini: Path, repository: Path, place: Path) -> Measured:
    copy = place / f"mini-{time.monotonic_ns()}"
    shutil.copytree(repository, copy)
    done = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
    turns = [Turn(text="Next.", calls=[("bash", {"command": command})]) for command in [*COMMANDS, done]]
    with ScriptedServer(turns, after="repeat") as server:
        config = place / "mini.yaml"
        config.write_text(
            f"model: {{model_name: openai/scripted, cost_tracking: ignore_errors, "
            f"model_kwargs: {{api_base: '{server.base_url}', api_key: x}}}}\n"
            f"environment: {{environment_class: local, timeout: 60, cwd: '{copy}'}}\nagent: {{step_limit: 50}}\n"
        )
        environ = {
            "MSWEA_CONFIGURED": "true",
            "MSWEA_GLOBAL_CONFIG_DIR": str(place),
            "MSWEA_SILENT_STARTUP": "1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        command = [str(mini), "-c", "mini.yaml", "-c", str(config), "-t", "Fix the failing test.", "-y"]
        command += ["--exit-immediately", "-o", str(place / "trajectory.json")]
        first, whole, memory = _run(command, server, environ)
        bodies = [request.body for request in server.requests]
        gaps = [b.started - a.finished for a, b in itertools.pairwise(server.requests)]
    return Measured(first, whole, memory, _tokens(bodies[0]), min(gaps) * 1000, _append_only(bodies))


def mini_binary() -> Path | None:
    """An installed mini-swe-agent, or one installed now; None when it cannot be had."""
    if named := os.environ.get("MINI"):
        return Path(named)
    home = Path(".bench").resolve()
    binary = home / "bin" / "mini"
    if not binary.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        install = [str(home / "bin" / "pip"), "install", "-q", "mini-swe-agent==2.4.6", "mcp"]
        if subprocess.run(install, check=False).returncode:
            shutil.rmtree(home)
            return None
    return binary


def _run(command: list[str], server: ScriptedServer, environ: dict[str, str]) -> tuple[float, float, float]:
    """Seconds to the first request, seconds in all, peak memory of the largest process in MB."""
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environ},
    )
    _, _, usage = os.wait4(process.pid, 0)
    whole = time.monotonic() - started
    if not server.requests:
        raise SystemExit(f"no request came from {' '.join(command)}")
    return server.requests[0].started - started, whole, usage.ru_maxrss / 1024


def _tokens(body: dict[str, Any]) -> float:
    return len(json.dumps([body["messages"], body.get("tools", [])])) / CHARACTERS_PER_TOKEN


def _append_only(bodies: list[dict[str, Any]]) -> float:
    """The share of requests whose messages and tools begin with those of the request before, byte for byte."""
    pairs = list(itertools.pairwise(bodies))
    kept = [
        json.dumps(later["messages"][: len(earlier["messages"])]) == json.dumps(earlier["messages"])
        and json.dumps(later.get("tools")) == json.dumps(earlier.get("tools"))
        for earlier, later in pairs
    ]
    return sum(kept) / len(kept) if kept else 1.0


def _overhead(session: Path) -> float:
    """Milliseconds between an answer and the next turn, less what its tools took; the median of the turns."""
    overheads: list[float] = []
    answered, tools = 0.0, 0.0
    for event in load(session / FILE):
        match event:
            case events.AssistantMessage():
                answered, tools = event.t, 0.0
            case events.ToolFinished():
                tools += event.seconds
            case events.TurnStarted() if answered:
                overheads.append((event.t - answered - tools) * 1000)
            case _:
                pass
    return statistics.median(overheads) if overheads else 0.0
