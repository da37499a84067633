"""What the runner of evaluations makes of a server: 32 workers against latencies as a large model has them.

    python -m tests.bench.evaluation [WORKERS [ROUNDS]]

The bound is what the server's own waiting comes to when every worker always has a request under way. Printed: the share
of that bound, and what a worker costs this machine (the runner alone, and with sandboxes, git and tests).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.evals import made
from tests.scripted_server import ScriptedServer, Turn

WORKERS, ROUNDS = 32, 4
TURNS = 12
PIECES, BETWEEN = 60, 0.05
"""Pieces of an answer, and seconds between two: 32 streams of 20 a second."""
SAID = "word " * (PIECES * 8 // 5)


def first_token(task: int, turn: int) -> float:
    """Seconds, from 0.5 to 2.5: no two attempts keep step."""
    return 0.5 + (task * 37 + turn * 61) % 101 / 50


def answer(body: dict[str, Any]) -> Turn:
    """Looks around for most of its turns, then as the made-up tasks want it."""
    said = sum(message["role"] == "assistant" for message in body["messages"])
    task = made.task_of(body)
    calls: list[tuple[str, dict[str, Any] | str]]
    if said < TURNS - 3:
        calls = [("bash", {"command": f"ls; echo {said}"})]
    elif said == TURNS - 3:
        calls = [("bash", {"command": "echo right > value.txt"})]
    else:
        calls = [("run_tests", {})] if said == TURNS - 2 else [("submit", {"summary": "done"})]
    return Turn(text=SAID, calls=calls, delay=first_token(task, said), pause=BETWEEN)


def main(workers: int = WORKERS, rounds: int = ROUNDS) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="coder-bench-") as name,
        ScriptedServer([answer], after="repeat") as server,
    ):
        folder = Path(name)
        data = made.data_set(folder, workers * rounds)
        words = made.words("run", data, "-o", folder / "out", "--base-url", server.base_url)
        words += ["--test", made.TESTED, "--workers", str(workers), "--max-turns", "20", "-q", "--json"]
        began = time.monotonic()
        process = subprocess.Popen(words, env=made.environ(folder), stdout=subprocess.PIPE, text=True)
        own, peak = _watched(process)
        seconds = time.monotonic() - began
        assert process.stdout is not None
        (found,) = json.loads(process.stdout.read())
        requests = [request.finished - request.started for request in server.requests]
    assert found["rate"]["resolved"] == workers * rounds, found["statuses"]
    used = os.times()
    attempts = workers * rounds
    waiting = sum(first_token(task, turn) for task in range(attempts) for turn in range(TURNS))
    bound = (waiting + attempts * TURNS * (_pieces() - 1) * BETWEEN) / workers
    served = sum(requests) / workers
    print(f"{attempts} attempts of {TURNS} turns, {workers} at once: {seconds:.1f} s")
    print(f"  of the computed bound ({bound:.1f} s): {100 * bound / seconds:.1f} %   (goal 90 %)")
    print(
        f"  of what the server took for its answers ({served:.1f} s a worker): {100 * served / seconds:.1f} %"
    )
    print(
        f"  the runner: {own / attempts:.2f} s CPU an attempt, {peak / 1024:.0f} MB at most, {peak / 1024 / workers:.1f} MB a worker"
    )
    parts = {name: found["seconds"][name] / attempts for name in ("model", "tools", "setup", "tests")}
    print("  an attempt, in seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in parts.items()))
    print(
        f"  with sandboxes, git and tests: {(used.children_user + used.children_system) / attempts:.2f} s CPU an attempt"
    )


def _pieces() -> int:
    """Of one answer as the server cuts it: the text, and the call."""
    return -(-len(SAID) // Turn().piece) + 6


def _watched(process: subprocess.Popen[str]) -> tuple[float, int]:
    """The program's own CPU seconds and its most memory in kB, looked at until it ends."""
    own, peak = 0.0, 0
    while process.poll() is None:
        try:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        if found := re.search(r"VmHWM:\s+(\d+)", status):
            peak = int(found[1])
        time.sleep(0.2)
    process.wait()
    return own, peak


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
