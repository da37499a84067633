"""`coder init --clean`: remove this project's environments, and those that nobody needs any more."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from coder import environment, headless
from coder.init import plan as words
from coder.start import run_until_interrupted
from sandbox.environments.store import Kept, Store
from sandbox.errors import SandboxError

OLD = 60 * 86_400.0
"""Seconds after which an environment of another project goes, too."""


def clean(project: Path, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Remove what belongs to `project`, to projects that are gone, and what is old; say what went and what stays."""
    store = environment.store(environ)
    store.reap()
    removed: list[Kept] = []
    for kept in store.all():
        gone = not Path(kept.project).is_dir()
        if kept.project == str(project) or gone or time.time() - kept.made > OLD:
            _remove(store, kept)
            removed.append(kept)
    left = store.all()
    if as_json:
        rows = {name: [each.key for each in group] for name, group in (("removed", removed), ("kept", left))}
        headless.write_result(json.dumps({"version": 1, **rows}) + "\n")
        return 0
    lines = [f"removed  {words.status(each)}" for each in removed]
    lines += [f"kept     {words.status(each)}" for each in left]
    headless.write_result("\n".join(lines or ["There are no environments."]) + "\n")
    return 0


def _remove(store: Store, kept: Kept) -> None:
    store.remove(kept)
    if kept.built:
        run_until_interrupted(_remove_image(kept.built))


async def _remove_image(name: str) -> None:
    """An engine that does not answer keeps its image."""
    from sandbox.engine import Engine
    from sandbox.environments import images

    try:
        engine = await Engine.connect(None)
        try:
            await images.remove(engine, name)
        finally:
            engine.close()
    except SandboxError:
        return
