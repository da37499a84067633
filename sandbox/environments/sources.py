"""Where a recipe comes from: the project's own file, else its devcontainer, else what its files tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.environments import devcontainer
from sandbox.environments.detect import detect
from sandbox.environments.recipe import PLACE, Recipe
from sandbox.errors import ManifestProblem

__all__ = ["Proposal", "needs_docker", "propose"]

_DEVCONTAINER = {
    # where pip and npm put what they may not install into the image, which is read-only
    "PYTHONUSERBASE": f"{PLACE}/user",
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    "NPM_CONFIG_PREFIX": f"{PLACE}/npm",
}
_PROGRAMS = (f"{PLACE}/user/bin", f"{PLACE}/npm/bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A set-up to be agreed to. `ignored` names what the project asks for and does not get, and why.

    Besides the recipe's own notes.
    """

    recipe: Recipe
    ignored: tuple[str, ...] = ()


def needs_docker(recipe: Recipe) -> bool:
    """Whether it says which image to start from."""
    return bool(recipe.image or recipe.dockerfile)


def propose(root: Path, own: Recipe | None, *, images: bool) -> Proposal | None:
    """The first recipe that there is: `own` of the project's file, the devcontainer's, the detected; None for none.

    `images`: a recipe may name one. Only reads, and files beneath `root` alone. Raises ManifestProblem when the
    file that would decide cannot be understood.
    """
    ignored: list[str] = []
    for recipe, named in _candidates(root, own, ignored):
        if needs_docker(recipe) and not images:
            if not (named and recipe.steps):
                ignored.append(f"{recipe.source}: its image is for Docker alone")
                continue
            ignored.append(f"{recipe.source}: its image is for Docker alone; its commands are used")
            recipe = replace(recipe, image="", dockerfile="", build_args={}, target="", context=".")  # noqa: PLW2901
        return Proposal(recipe=recipe, ignored=tuple(ignored))
    return None


def _candidates(root: Path, own: Recipe | None, ignored: list[str]) -> list[tuple[Recipe, bool]]:
    """Recipes in their order, and whether each is the project's own word for this program."""
    found: list[tuple[Recipe, bool]] = []
    try:
        detected = detect(root)
    except ManifestProblem as problem:
        if own is None:
            raise
        detected = None
        ignored.append(str(problem))
    inputs = detected.inputs if detected else ()
    if own is not None:
        found.append((_completed(own, inputs), True))
    container = devcontainer.read(root)
    if container is not None:
        if own is None:
            ignored += container.ignored
        if container.recipe is not None:
            found.append((_from_devcontainer(container.recipe, detected), False))
    if detected is not None:
        found.append((detected, False))
    return found


def _completed(recipe: Recipe, inputs: tuple[str, ...]) -> Recipe:
    """A recipe that names no inputs has those of the project's package manager."""
    env = {**_DEVCONTAINER, **recipe.env} if recipe.steps else recipe.env
    path = (*recipe.path, *_PROGRAMS) if recipe.steps else recipe.path
    return replace(recipe, inputs=recipe.inputs or inputs, env=env, path=path)


def _from_devcontainer(recipe: Recipe, detected: Recipe | None) -> Recipe:
    """A bare image holds nothing of the project: its dependencies are then set up as detected."""
    if detected is not None and recipe.image and not recipe.steps:
        return replace(
            detected,
            source=f"{recipe.source} and {detected.source}",
            image=recipe.image,
            inputs=tuple(dict.fromkeys((*recipe.inputs, *detected.inputs))),
            env={**detected.env, **recipe.env},
        )
    inputs = tuple(dict.fromkeys((*recipe.inputs, *(detected.inputs if detected else ()))))
    return _completed(replace(recipe, inputs=inputs), ())
