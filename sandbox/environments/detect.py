"""Finds out how a project's dependencies are set up, from the files that its package managers read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sandbox.environments import compiled
from sandbox.environments import node as node_files
from sandbox.environments import python as python_files
from sandbox.environments.compiled import go, gradle, maven, rust
from sandbox.environments.node import node
from sandbox.environments.project import Project
from sandbox.environments.python import python
from sandbox.environments.recipe import Recipe
from sandbox.errors import ManifestProblem

__all__ = ["IMAGES", "detect", "detect_all", "image_for"]

IMAGES = {language: f"coder-sandbox:{language}" for language in ("node", "rust", "go", "java")}
"""What `sandbox/images/build.sh --with LANGUAGE` makes."""

_BASE = "coder-sandbox:base"

# Each with the files that speak for it; the order decides where tests do not
_LANGUAGES: Sequence[tuple[str, Sequence[str], Callable[[Project], Recipe | None]]] = (
    ("python", python_files.MANIFESTS, python),
    ("node", node_files.MANIFESTS, node),
    ("rust", compiled.RUST, rust),
    ("go", compiled.GO, go),
    ("java", compiled.MAVEN, maven),
    ("java", compiled.GRADLE, gradle),
)


def image_for(toolchain: str) -> str:
    """The image with the programs that a recipe of this toolchain needs."""
    return IMAGES.get(toolchain, _BASE)


def detect(root: Path) -> Recipe | None:
    """How the project at `root` is set up; None when nothing of it says so.

    Only read, under caps, and never beyond `root`: best give it the copy that set-up will see, where ignored files
    are not. Raises ManifestProblem when the file that would decide cannot be understood.
    """
    found = detect_all(root)
    return found[0] if found else None


def detect_all(root: Path) -> tuple[Recipe, ...]:
    """A recipe for each language that the project has manifests of, the one that its tests are written in first.

    A Python project that has Python tests is a Python project, whatever else it holds. Each recipe's notes name
    what else there is. Raises ManifestProblem when nothing but manifests that cannot be understood is found.
    """
    project = Project(root)
    recipes: list[Recipe] = []
    problems: list[ManifestProblem] = []
    for _, manifests, read in _LANGUAGES:
        if not project.present(manifests):
            continue
        try:
            recipe = read(project)
        except ManifestProblem as problem:
            problems.append(problem)
            continue
        if recipe is not None:
            recipes.append(recipe)
    # who knows what a project with a broken pyproject.toml is: it is not to be taken for something else
    decisive = [problem for problem in problems if "pyproject.toml" in str(problem) or not recipes]
    if decisive:
        raise decisive[0]
    tests = project.tests() if len(recipes) > 1 else {}
    recipes.sort(
        key=lambda recipe: (
            recipe.toolchain != "python" or not tests.get("python"),
            -tests.get(recipe.toolchain, 0),
        )
    )
    notes = tuple(f"passed over: {problem}" for problem in problems)
    return tuple(_with_notes(recipe, recipes, notes) for recipe in recipes)  # fmt: skip


def _with_notes(recipe: Recipe, recipes: Sequence[Recipe], notes: tuple[str, ...]) -> Recipe:
    others = [f"{other.toolchain} ({other.source})" for other in recipes if other is not recipe]
    passed = (f"not set up: {', '.join(others)}",) if others else ()
    return replace(recipe, notes=(*recipe.notes, *passed, *notes))
