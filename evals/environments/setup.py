"""What an instance needs installed: made once, in a sandbox with a logged network, kept, and used offline ever after.

The archives' and packages' own code (their set-up above all) runs in that sandbox alone.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from evals.environments.failed import EnvironmentFailed
from evals.environments.tree import archived, commit, keep_archive
from evals.instance import Recipe as InstanceRecipe
from evals.instance import Source
from sandbox.base import WORKDIR
from sandbox.environments.job import Job, SetupFailed
from sandbox.environments.prepare import cached, set_up
from sandbox.environments.recipe import PLACE, Recipe
from sandbox.environments.store import Kept, Store
from sandbox.errors import SandboxError
from sandbox.network import Network
from sandbox.workspace import Workspace

VENV = f"{PLACE}/venv"
MIN_FREE_MB = 1024
"""Free megabytes without which no set-up is begun."""


async def fetch(source: Source, cache: Path, store: Store, say: Callable[[str], None]) -> None:
    """See that the source's archive is in the cache. Raises EnvironmentFailed."""
    if source.kind != "sdist" or archived(source, cache) is not None:
        return
    wanted = shlex.quote(f"{source.name}=={source.version}")
    pip = f"{VENV}/bin/python -m pip download -q --no-deps --no-binary :all: -d {PLACE}/sdist {wanted}"
    recipe = Recipe(
        source=f"the archive of {source.name} {source.version}", steps=(f"python3 -m venv {VENV}", pip)
    )
    folder = Path(tempfile.mkdtemp(prefix="fetch-"))
    try:
        await asyncio.to_thread(commit, folder)
        kept = await _kept(
            recipe, folder, Path(f"/{source.name}"), "bubblewrap", store, dict(os.environ), "", say
        )
        keep_archive(source, cache, store.environment(kept).directory / "sdist")  # type: ignore[operator]  # it was made just now
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def install(
    made: InstanceRecipe,
    tree: Path,
    kind: str,
    image: str,
    store: Store,
    env: dict[str, str],
    say: Callable[[str], None],
) -> Kept:
    """The environment of a recipe for `tree`: from the store, or made now. Raises EnvironmentFailed."""
    steps = [f"python3 -m venv {VENV}"]
    pip = f"{VENV}/bin/python -m pip install -q --no-deps"
    if made.pins:
        steps.append(f"{pip} {shlex.join(made.pins)}")
    if made.editable:
        steps.append(f"{pip} --no-build-isolation -e {WORKDIR}")
    recipe = Recipe(
        source="the instance's pins",
        toolchain="python",
        steps=tuple(steps),
        env=env,
        path=(f"{VENV}/bin",),
        python=f"{VENV}/bin/python",
    )
    source = made.source
    project = Path(
        "/",
        *filter(None, (source.kind, source.name or source.path.strip("/"), source.version or source.commit)),
    )
    environ = _with_python(made.python) if kind == "bubblewrap" else dict(os.environ)
    return await _kept(recipe, tree, project, kind, store, environ, image, say)


async def _kept(
    recipe: Recipe, tree: Path, project: Path, kind: str, store: Store, environ: dict[str, str], image: str, say: Callable[[str], None]
) -> Kept:  # fmt: skip
    folder = Path(tempfile.mkdtemp(prefix="setup-"))
    network = Network((), open=True)
    workspace = await asyncio.to_thread(Workspace.create, tree, folder / "copy")
    job = Job(
        recipe=recipe, workspace=workspace, project=project, backend=kind, store=store, log=folder / "log", say=say,
        environ=environ, network=network, image=image,
    )  # fmt: skip
    try:
        if (found := await cached(job)) is not None:
            return found
        free = shutil.disk_usage(folder).free // 2**20
        if free < MIN_FREE_MB:
            raise EnvironmentFailed(f"only {free} MB are free; {MIN_FREE_MB} are wanted")
        await network.start()
        return await set_up(job)
    except SetupFailed as error:
        raise EnvironmentFailed(f"{error}: {' '.join(error.lines[-3:])}", hint=error.hint) from error
    except SandboxError as error:
        raise EnvironmentFailed(str(error), hint=error.hint) from error
    finally:
        await network.close()
        await asyncio.to_thread(workspace.close)
        shutil.rmtree(folder, ignore_errors=True)


def _with_python(version: str) -> dict[str, str]:
    """The environment in which python3 is this version, such as 3.9; the present Python's for none."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    folders = [Path(sys.base_prefix) / "bin"] if version in ("", here) else []
    folders += sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin"))
    if version and (found := shutil.which(f"python{version}")):
        folders.append(Path(found).resolve().parent)
    for folder in folders:
        if (folder / "python3").exists():
            rest = {
                name: value
                for name, value in os.environ.items()
                if name not in ("PYENV_VERSION", "VIRTUAL_ENV")
            }
            return {**rest, "PATH": f"{folder}:{os.environ.get('PATH', os.defpath)}"}
    raise EnvironmentFailed(f"there is no Python {version} on this machine")
