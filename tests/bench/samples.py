"""Every sample repository through `coder fix` with the real small model: solved, seconds, samples, tokens.

    python -m tests.bench.samples [NAME …] [--base-url URL]

Without --base-url the embedded server is started. The repositories are never changed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from coder.model.serve import embedded

SAMPLES = Path(__file__).resolve().parent.parent / "samples"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--timeout", type=float, default=180.0)
    options = parser.parse_args()
    names = options.names or sorted(path.name for path in SAMPLES.iterdir() if (path / "tests").is_dir())
    asyncio.run(measure(names, options.base_url, options.timeout))


async def measure(names: list[str], base_url: str, timeout: float) -> None:
    if not base_url:
        async with embedded(report=print) as url:
            return await measure(names, url, timeout)
    print(
        f"{'sample':<20}{'solved':>8}{'seconds':>9}{'samples':>9}{'tokens in':>11}{'tokens out':>12}  reason",
        flush=True,
    )
    solved = 0
    for name in names:
        started = time.monotonic()
        exit_status, result = await asyncio.to_thread(fix, SAMPLES / name, base_url, timeout)
        usage = result.get("usage", {})
        solved += exit_status == 0
        print(
            f"{name:<20}{'yes' if exit_status == 0 else 'no':>8}{time.monotonic() - started:>9.1f}"
            f"{usage.get('requests', 0):>9}{usage.get('prompt_tokens', 0):>11}{usage.get('completion_tokens', 0):>12}"
            f"  {result.get('reason', '?')}",
            flush=True,
        )
    print(f"{solved} of {len(names)} solved")
    return None


def fix(repository: Path, base_url: str, timeout: float) -> tuple[int, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="coder-sample-") as scratch:
        copy = shutil.copytree(
            repository, Path(scratch) / repository.name
        )  # out of this project's own repository
        command = [sys.executable, "-m", "coder", "fix", "failing test", "-C", str(copy), "-q"]
        command += ["--base-url", base_url, "--output-format", "json", "--timeout", str(timeout)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


if __name__ == "__main__":
    main()
