"""Guided repair against a live model server: every sample repository, solved or not, with seconds, samples and tokens.

    python tests/bench/repair_samples.py --base-url http://127.0.0.1:8080/v1 [--runs 3] [--only NAME ...] [--journal FILE]

The samples' own tests run in plain subprocesses: they are ours and harmless.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from coder.workflows.repair import Failure, RepairOutcome, TestOutcome, repair  # noqa: E402 - after the path
from coder.workflows.trace import plugin_source, trace_command  # noqa: E402

SAMPLES = HERE.parent / "samples"


@dataclass
class LiveBench:
    """A repository in a folder, pytest in a subprocess, a chat completions server."""

    root: Path
    url: str
    deadline: float
    quiet: bool = True
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    asked: int = 0
    shift: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    def files(self) -> list[str]:
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        (self.root / path).write_bytes(data)

    async def test(self, targets: Sequence[str]) -> TestOutcome:
        return run_pytest(self.root, targets)

    async def trace(self, targets: Sequence[str]) -> str:
        command = ["bash", "-c", trace_command(sys.executable, targets)]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=self.root, input=plugin_source(), capture_output=True, check=False
        )
        return done.stdout.decode()

    async def ask(
        self,
        messages: list[dict[str, str]],
        *,
        temperature: float,
        max_tokens: int,
        seed: int | None,
        done: Callable[[str], bool],
    ) -> str:
        body = {
            "messages": messages,
            "temperature": temperature,
            "top_p": 0.95,
            "max_tokens": max_tokens,
            "seed": (seed or 0) + self.shift,
            "stream": True,
            "timings_per_token": True,
        }
        self.asked += 1
        started = time.monotonic()
        text, usage = stream(self.url, body, done)
        self.tokens_in += usage.get("prompt", 0)
        self.tokens_cached += usage.get("cached", 0)
        self.tokens_out += usage.get("out", 0)
        seconds = round(time.monotonic() - started, 1)
        self.log.append(
            {
                "prompt": messages[0]["content"],
                "answer": text,
                "seconds": seconds,
                **{f"n_{k}": v for k, v in usage.items()},
            }
        )
        return text

    async def note(self, text: str) -> None:
        self.log.append({"note": text})
        if not self.quiet:
            print("   ", text, flush=True)

    def remaining(self) -> bool:
        return time.monotonic() < self.deadline


def stream(url: str, body: dict[str, Any], done: Callable[[str], bool]) -> tuple[str, dict[str, int]]:
    """One streamed completion; the connection is closed as soon as `done`."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/chat/completions", data, {"content-type": "application/json"})
    text, usage = "", {"out": 0}
    with urllib.request.urlopen(request, timeout=600) as response:
        for raw in response:
            line = raw.decode().strip()
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            timings = chunk.get("timings")
            if timings:
                usage |= {"prompt": timings["prompt_n"] + timings["cache_n"], "cached": timings["cache_n"]}
            for choice in chunk.get("choices", []):
                piece = choice.get("delta", {}).get("content") or ""
                text += piece
                usage["out"] += bool(piece)
            if done(text):
                break
    return text, usage


def run_pytest(root: Path, targets: Sequence[str], timeout: float = 20) -> TestOutcome:
    command = [
        sys.executable,
        "-B",
        "-m",
        "pytest",
        "-q",
        "-rfE",
        "-p",
        "no:cacheprovider",
        "--color=no",
        *targets,
    ]
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "120"}
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return TestOutcome(False, tuple(targets), "", timed_out=True)
    failed = tuple(re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE))
    return TestOutcome(done.returncode == 0, failed, done.stdout)


async def one(
    name: str, url: str, seconds: float, shift: int, quiet: bool
) -> tuple[RepairOutcome, LiveBench, float]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / name
        shutil.copytree(SAMPLES / name, root)
        before = run_pytest(root, ())
        bench = LiveBench(root, url, time.monotonic() + seconds, quiet, shift=shift)
        started = time.monotonic()
        outcome = await repair(bench, Failure(before.failed, before.output), regression=["tests"])
        spent = time.monotonic() - started
        after = run_pytest(root, ())
        assert after.passed == outcome.solved, (name, after.output)
        return outcome, bench, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--base-url", default="http://127.0.0.1:8080/v1")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=170, help="time limit of one repair")
    parser.add_argument("--only", nargs="*", help="names of samples")
    parser.add_argument(
        "--journal", type=Path, help="append prompts and answers here, one JSON object a line"
    )
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    names = options.only or sorted(p.name for p in SAMPLES.iterdir() if (p / "tests").is_dir())
    print(
        f"{'sample':<22}{'run':>4}{'solved':>8}{'seconds':>9}{'samples':>9}{'read':>7}{'cached':>8}{'written':>9}"
    )
    solved = total = 0
    for run in range(options.runs):
        for name in names:
            outcome, bench, spent = asyncio.run(
                one(name, options.base_url, options.seconds, 1000 * run, not options.v)
            )
            total += 1
            solved += outcome.solved
            print(
                f"{name:<22}{run:>4}{'yes' if outcome.solved else 'NO':>8}{spent:>9.1f}{outcome.attempts:>9}"
                f"{bench.tokens_in - bench.tokens_cached:>7}{bench.tokens_cached:>8}{bench.tokens_out:>9}",
                flush=True,
            )
            if options.journal:
                with options.journal.open("a") as file:
                    row = {"name": name, "run": run, "solved": outcome.solved, "changed": outcome.changed}
                    file.write(json.dumps({**row, "log": bench.log}) + "\n")
    print(f"solved {solved} of {total}")


if __name__ == "__main__":
    main()
