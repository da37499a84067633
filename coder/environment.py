"""The project's environment as a run finds it: what would set it up, whether it is there, whether it was agreed to."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from coder.config import PROJECT_FILE, Config
from sandbox.environments import keys
from sandbox.environments.recipe import Environment, Recipe
from sandbox.environments.sources import Proposal, needs_docker, propose
from sandbox.environments.store import Kept, Store, default_folder
from sandbox.errors import ManifestProblem
from sandbox.toolchain import Toolchain

__all__ = ["Agreements", "Found", "Plan", "Prepared", "find", "image_of_project", "plans", "store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One way to set a project up."""

    backend: str
    """docker or bubblewrap."""
    recipe: Recipe
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`kept` is the environment that a run shall use; without one, `plan` is what would set it up, if anything."""

    kept: Kept | None = None
    backend: str = ""
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What commands run with, where whoever starts the run has prepared it: the project is not asked then."""

    toolchain: Toolchain
    environment: Environment | None = None


def store(environ: Mapping[str, str]) -> Store:
    """The user's environments."""
    return Store(default_folder(environ))


def image_of_project(config: Config) -> bool:
    """Whether the image was named by the repository's own file."""
    return bool(config.image) and Path(config.layer("image")).name == PROJECT_FILE


def plans(root: Path, config: Config) -> list[Plan]:
    """Every way that the settings allow, the best first. Reads files beneath `root` alone. Raises ManifestProblem."""
    return list(_plans(root, config))


def _plans(root: Path, config: Config) -> Iterator[Plan]:
    own = _own(config)
    with_images = propose(root, own, images=True)
    without = propose(root, own, images=False)
    if config.image and not image_of_project(config):
        if config.sandbox != "bubblewrap":
            yield _in_image(config.image, without)
        return
    docker = (
        Plan(backend="docker", recipe=with_images.recipe, ignored=with_images.ignored)
        if with_images
        else None
    )
    bubblewrap = (
        Plan(backend="bubblewrap", recipe=without.recipe, ignored=without.ignored) if without else None
    )
    first_docker = docker is not None and needs_docker(docker.recipe)
    for plan in (docker, bubblewrap) if first_docker else (bubblewrap, docker):
        if plan is not None and config.sandbox in ("auto", plan.backend):
            yield plan


def _in_image(image: str, proposal: Proposal | None) -> Plan:
    """What is detected, set up in an image that the user named."""
    if proposal is None:
        return Plan(backend="docker", recipe=Recipe(source="the image alone", image=image))
    return Plan(backend="docker", recipe=replace(proposal.recipe, image=image), ignored=proposal.ignored)


def _own(config: Config) -> Recipe | None:
    """The recipe of the project's file; an image that it names brings everything unless it names commands too."""
    settings = config.environment
    if settings is None:
        named = config.image if image_of_project(config) else ""
        return Recipe(source=PROJECT_FILE, image=named, inputs=(PROJECT_FILE,)) if named else None
    return Recipe(
        source=PROJECT_FILE,
        image=settings.image or (config.image if image_of_project(config) else ""),
        dockerfile=settings.dockerfile,
        context=settings.context,
        target=settings.target,
        steps=settings.setup,
        inputs=settings.inputs,
        env=settings.env,
        path=settings.path,
        python=settings.python,
    )


def find(root: Path, project: Path, config: Config, environ: Mapping[str, str]) -> Found:
    """What is set up of the project, whose copy lies at `root`. Asks no engine and runs nothing."""
    try:
        possible = plans(root, config)
    except ManifestProblem:  # `coder init` says what is wrong with it; a run need not care
        return Found()
    kept_here = store(environ)
    for plan in possible:
        kept = kept_here.find(keys.fingerprint(root, project, plan.recipe, plan.backend))
        if kept is not None:
            return Found(kept=kept, backend=plan.backend, plan=plan)
    return Found(plan=possible[0] if possible else None)


class Agreements:
    """What the user has agreed to, one file each, in the user's state."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        base = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME") or "/") / ".local" / "state"
        self._folder = Path(base) / "coder" / "agreements"

    def has(self, root: Path, project: Path, recipe: Recipe) -> bool:
        """Whether exactly this was agreed to, for this project."""
        return (self._folder / f"{keys.agreement(root, project, recipe)}.json").is_file()

    def add(self, root: Path, project: Path, recipe: Recipe) -> None:
        """Remember it; what cannot be remembered is asked again."""
        path = self._folder / f"{keys.agreement(root, project, recipe)}.json"
        entry = {"project": str(project), "source": recipe.source, "agreed": time.time()}
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w") as file:
                json.dump(entry, file)
