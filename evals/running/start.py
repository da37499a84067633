"""A run's beginning: a folder that belongs to these settings, and what killed runs left cleared away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from coder import __version__
from coder.errors import UsageError
from evals.folder import RunFolder
from evals.instance import Dataset, Instance
from evals.result import Run


def begin(
    output: Path,
    dataset: Dataset,
    instances: Sequence[Instance],
    attempts: int,
    settings: Mapping[str, Any],
    *,
    name: str,
    seed: int,
    say: Callable[[str], None],
) -> tuple[RunFolder, Run]:
    """The run's folder, new or gone on with. Raises UsageError when it holds a run of other tasks or settings."""
    folder = RunFolder(output)
    run = Run(
        data=dataset.name,
        sha256=dataset.sha256,
        instances=tuple(each.id for each in instances),
        attempts=attempts,
        seed=seed,
        name=name,
        program=__version__,
        settings=dict(settings),
        started=time.time(),
    )
    if (output / "run.json").exists():
        before = folder.run()
        _same(before, run, output)
        if before.program != __version__:
            say(f"this run was begun by version {before.program}; this is {__version__}")
        run = msgspec.structs.replace(before, attempts=max(attempts, before.attempts))
    elif output.is_dir() and any(output.iterdir()):
        raise UsageError(f"{output} is not empty, and no evaluation run", hint="Name a new folder with -o.")
    try:
        folder.begin(run)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error
    return folder, run


def _same(before: Run, now: Run, output: Path) -> None:
    differing = [
        what
        for what, old, new in (
            ("the data set's content", before.sha256, now.sha256),
            ("the instances", before.instances, now.instances),
            ("--name", before.name, now.name),
        )
        if old != new
    ]
    for key in sorted({*before.settings, *now.settings}):
        old, new = before.settings.get(key), now.settings.get(key)
        if _plain(old) != _plain(new):
            differing.append(f"{key} ({old!r} there, {new!r} now)")
    if differing:
        raise UsageError(
            f"{output} holds a run that differs in {', '.join(differing)}",
            hint="Results of different settings are not mixed: name another folder with -o.",
        )


def _plain(value: Any) -> Any:
    """As it would be read back."""
    return msgspec.json.decode(msgspec.json.encode(value))
