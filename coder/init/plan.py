"""A set-up in words, before anything of it runs; and what is set up already."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from coder.environment import Plan
from sandbox.environments.recipe import Recipe
from sandbox.environments.store import Kept
from sandbox.text import clean_text


def describe(plan: Plan, *, image: str, passed: Sequence[str], seconds: float) -> str:
    """What would be done, for somebody who decides whether it may. `image` is used where the recipe names none."""
    return clean_text("\n".join(_lines(plan, image, passed, seconds)))


def _lines(plan: Plan, image: str, passed: Sequence[str], seconds: float) -> Iterator[str]:
    recipe = plan.recipe
    yield f"Set-up of this project, as {recipe.source} tells it:"
    yield f"  where     {_where(plan.backend, recipe, image)}"
    for number, step in enumerate(recipe.steps, 1):
        first, *rest = step.splitlines() or [""]
        yield f"  {'step' if number == 1 else '    '} {number:>3}  {first}"
        yield from (f"            {line}" for line in rest)
    if not recipe.steps:
        yield "  steps     none: the image brings everything"
    if recipe.inputs:
        yield f"  inputs    {', '.join(recipe.inputs)} (when one of them changes, it is set up anew)"
    for name, value in recipe.env.items():
        yield f"  variable  {name}={value}"
    for what in plan.ignored:
        yield f"  ignored   {what}"
    for note in recipe.notes:
        yield f"  note      {note}"
    yield "  sees      a copy of the repository; none of your files, none of your keys"
    if passed:
        yield f"  sees too  your variables {', '.join(passed)}, which these commands can read and send anywhere"
    yield "  reaches   web servers, of your own network too, through a logged proxy (ports 80 and 443); nothing of this machine"
    yield f"  limits    {seconds / 60:.0f} minutes, then it is ended; nothing stays of a set-up that fails"
    yield "  later     every run uses what it made, read-only and without a network"


def _where(backend: str, recipe: Recipe, image: str) -> str:
    if recipe.dockerfile:
        return (
            f"Docker, in an image that the engine builds from {recipe.dockerfile} (context {recipe.context}); "
            "the Dockerfile's own commands run as root in the engine's build containers"
        )
    if backend == "docker":
        pulled = "; fetched from its registry when it is not here" if recipe.image else ""
        return f"Docker, in the image {recipe.image or image}{pulled}"
    return "bubblewrap, with this machine's own programs"


def status(kept: Kept) -> str:
    """One line about an environment that was made."""
    return clean_text(
        f"{kept.key[:12]}  {kept.backend:<10}  {megabytes(kept.size):>8}  {age(kept.made):>8} old  "
        f"{kept.source}  {kept.project}"
    )


def megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def age(made: float) -> str:
    """How long ago, in the largest unit that gives a number above one."""
    seconds = max(0.0, time.time() - made)
    for unit, length in (("days", 86400), ("hours", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def template(recipe: Recipe) -> str:
    """A project file that changes nothing, and shows where to change something."""
    import json

    steps = ",\n".join(f"#   {json.dumps(step)}" for step in recipe.steps)
    inputs = ", ".join(json.dumps(path) for path in recipe.inputs)
    return (
        f"# Found in {recipe.source}, and set up by `coder init`. To have it done otherwise, take the # away.\n"
        "# [environment]\n"
        f"# setup = [\n{steps}\n# ]\n"
        f"# inputs = [{inputs}]\n"
    )
