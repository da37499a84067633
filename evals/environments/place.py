"""Places for instances: a fresh tree each, over an environment that is made once."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from coder.environment import Prepared
from evals.environments.failed import EnvironmentFailed
from evals.environments.image import is_here, only_tests, take_image
from evals.environments.setup import fetch, install
from evals.environments.tree import make_tree
from evals.instance import Instance, Recipe
from sandbox.base import WORKDIR, Policy, Sandbox
from sandbox.choose import DEFAULT_IMAGE
from sandbox.environments.store import Store
from sandbox.errors import SandboxError
from sandbox.toolchain import Toolchain, of_this_program
from sandbox.walking import remove_tree
from sandbox.workspace import Workspace

__all__ = ["EnvironmentFailed", "Environments", "Place", "default_cache"]

FIXED = {"TZ": "UTC", "PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
"""What would make one run of the tests different from the next."""


LEAST_FREE_MB = 1000
"""Below that no attempt is begun."""


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/coder/evals`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coder" / "evals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An instance's tree on the host, and what its commands run with."""

    tree: Path
    """A repository of one commit; the agent's own copy is made from it."""
    test_command: str
    kind: str
    """bubblewrap or docker."""
    image: str = ""
    prepared: Prepared
    scratch: Path

    @asynccontextmanager
    async def sandbox(self) -> AsyncIterator[Sandbox]:
        """A fresh sandbox on a fresh copy of the tree. Raises EnvironmentFailed when there is none."""
        from sandbox.choose import open_sandbox

        state = Path(tempfile.mkdtemp(dir=self.scratch, prefix="grade-")) / "copy"
        shown = self.prepared.environment
        try:
            workspace = await asyncio.to_thread(Workspace.create, self.tree, state)
            sandbox, _ = await open_sandbox(
                self.kind,
                workspace,
                Policy(),
                image=(shown.image if shown else self.image) or None,
                toolchain=self.prepared.toolchain,
                environment=shown,
            )
            try:
                yield sandbox
            finally:
                await sandbox.close()
                await asyncio.to_thread(workspace.close)
        except SandboxError as error:
            raise EnvironmentFailed(f"no sandbox: {error}", hint=error.hint) from error
        finally:
            await asyncio.to_thread(remove_tree, state.parent)


class Environments:
    """Makes places. `kind` is bubblewrap or docker; everything that is kept lies in `cache`."""

    def __init__(
        self,
        kind: str = "bubblewrap",
        cache: Path | None = None,
        *,
        image: str = "",
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`image` is Docker's, where an instance has none; `say` gets what a set-up prints."""
        self.kind = kind
        self.cache = cache or default_cache()
        self._image = image
        self._say = say
        self._making: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def place(self, instance: Instance) -> AsyncIterator[Place]:
        """A fresh place for one attempt; it is gone afterwards. Raises EnvironmentFailed."""
        scratch = self.cache / "places"
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            if (free := free_mb(scratch)) < LEAST_FREE_MB:
                raise EnvironmentFailed(
                    f"only {free} MB are free at {scratch}",
                    hint="Make room, then run the same command again.",
                )
            folder = Path(tempfile.mkdtemp(dir=scratch, prefix=f"{os.getpid()}-"))
        except OSError as error:
            raise EnvironmentFailed(f"{scratch} cannot be written: {error.strerror}") from error
        try:
            try:
                yield await self._made(instance, folder)
            except (OSError, SandboxError) as error:
                raise EnvironmentFailed(f"{instance.id}: {error}") from error
        finally:
            await asyncio.to_thread(remove_tree, folder)

    async def _made(self, instance: Instance, folder: Path) -> Place:
        """From the instance's own image where Docker has it; else by its recipe."""
        recipe = instance.recipe
        if self.kind == "docker" and instance.image and (recipe is None or await is_here(instance.image)):
            return await self._from_image(instance, folder)
        if recipe is None:
            raise EnvironmentFailed(
                f"{instance.id}: how its environment is made is not known",
                hint="A row needs `environment`, an env.json beside the data set, or --sandbox docker and an image.",
            )
        return await self._by_recipe(instance, recipe, folder)

    async def _from_image(self, instance: Instance, folder: Path) -> Place:
        tree, recipe = folder / "tree", instance.recipe
        shown = await take_image(instance, tree, {**FIXED, **(recipe.env if recipe else {})}, self._say)
        command = only_tests(instance.eval_script) if instance.eval_script else ""
        return Place(
            tree=tree,
            test_command=command or _command(instance, recipe),
            kind=self.kind,
            image=instance.image,
            prepared=Prepared(toolchain=Toolchain(python="python3", why=shown.why), environment=shown),
            scratch=folder,
        )

    async def _by_recipe(self, instance: Instance, recipe: Recipe, folder: Path) -> Place:
        tree, store = folder / "tree", Store(self.cache / "environments")
        once = self._making.setdefault(f"{recipe.source.name} {recipe.pins}", asyncio.Lock())
        async with once:
            await fetch(recipe.source, self.cache, store, self._say)
        await asyncio.to_thread(make_tree, recipe.source, tree, self.cache)
        async with once:
            prepared = await self._prepared(instance, recipe, tree, store)
        return Place(
            tree=tree,
            test_command=_command(instance, recipe),
            kind=self.kind,
            image=self._image if self.kind == "docker" else "",
            prepared=prepared,
            scratch=folder,
        )

    async def _prepared(self, instance: Instance, recipe: Recipe, tree: Path, store: Store) -> Prepared:
        env = {**FIXED, **recipe.env}
        if recipe.pythonpath is not None:
            env["PYTHONPATH"] = f"{WORKDIR}/{recipe.pythonpath}".rstrip("/")
        if recipe.pins or recipe.editable:
            kept = await install(recipe, tree, self.kind, self._image or DEFAULT_IMAGE, store, env, self._say)
            return Prepared(toolchain=kept.toolchain(), environment=store.environment(kept))
        found = await asyncio.to_thread(of_this_program, tree, os.environ, Path(sys.executable))
        return Prepared(toolchain=replace(found, alias=None, env={**found.env, **env}))


def _command(instance: Instance, recipe: Recipe | None) -> str:
    if recipe is not None and recipe.test_command:
        return recipe.test_command
    files = sorted({name.partition("::")[0] for name in instance.fail_to_pass if "::" in name})
    return f"python -m pytest -q {' '.join(files)}".rstrip()


def remove_places(cache: Path) -> int:
    """Take away what killed runs left; returns how many places."""
    count = 0
    for folder in (cache / "places").glob("*-*"):
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            remove_tree(folder)
            count += 1
    return count


def free_mb(path: Path) -> int:
    """Megabytes that are free where `path` is."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free // 2**20
