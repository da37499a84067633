"""`coder demo`: a broken sample repository, the embedded model, the bundled sandbox, a fixed test."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from importlib.resources import as_file, files
from pathlib import Path

from coder import config, headless, sessions
from coder.errors import UsageError
from coder.start import run_until_interrupted
from coder.workflows.deliver import PATCH_FILE
from coder.workflows.request import Request
from coder.workflows.run import execute


def run_demo(*, keep: Path | None, base_url: str | None, verbose: bool) -> int:
    """Make the sample repository, start a model, repair, show. Returns the run's exit status."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coder-demo-") as scratch:
        repository = _sample(keep.resolve() if keep else Path(scratch) / "sample")
        _say(f"A sample repository with a failing test: {repository}")
        status = run_until_interrupted(_demo(repository, base_url or "", verbose))
    _say(f"From start to end: {time.monotonic() - started:.0f} s")
    return status


def _sample(target: Path) -> Path:
    if target.exists() and any(target.iterdir()):
        raise UsageError(f"{target} is not empty", hint="Name a new directory with --keep.")
    with as_file(files("coder").joinpath("demo_repository")) as source:
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return target


async def _demo(repository: Path, base_url: str, verbose: bool) -> int:
    async with _server(base_url) as server:
        run = sessions.new_id()
        state = sessions.home(os.environ) / run
        flags = {"base_url": server, "strategy": "repair", "sandbox": "bubblewrap"}
        request = Request(
            task="failing test",
            workflow="fix",
            directory=repository,
            config=config.load(project=None, flags=flags, environ={}, user_file=Path(os.devnull)),
            session=state,
            state=state,
            run=run,
            apply=True,
        )
        with contextlib.closing(headless.Progress(sys.stderr, verbose=verbose)) as progress:
            finished = await execute(request, progress)
    headless.write_result(headless.as_text(finished, state / PATCH_FILE if finished.patch else None))
    return finished.exit


@contextlib.asynccontextmanager
async def _server(base_url: str) -> AsyncIterator[str]:
    """The server that was named, or the embedded one for as long as it is needed."""
    if base_url:
        yield base_url
        return
    from coder.model.serve import embedded
    from coder.model.weights import ProgressLine

    async with embedded(report=_say, progress=ProgressLine(_say)) as url:
        yield url


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
