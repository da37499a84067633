"""The proof that an environment works: a fresh sandbox without a network, in which the project's own tools start."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.base import Sandbox
from sandbox.environments.recipe import Recipe
from sandbox.text import clean_text

SECONDS = 180.0
_LONGEST = 160


@dataclass(frozen=True, slots=True)
class Seen:
    """What one command showed. `needed`: without it the environment is of no use."""

    command: str
    ok: bool
    said: str
    needed: bool


async def look(sandbox: Sandbox, recipe: Recipe, python: str) -> list[Seen]:
    """Try what belongs to the recipe's language."""
    return [
        await _try(sandbox, command, needed=needed) for command, needed in _commands(sandbox, recipe, python)
    ]


def _commands(sandbox: Sandbox, recipe: Recipe, python: str) -> Iterator[tuple[str, bool]]:
    present = {entry.path for entry in sandbox.workspace.list()}
    word = shlex.quote(python or "python3")
    has_python = any(path.endswith(".py") or path == "pyproject.toml" for path in present)
    if recipe.toolchain == "python" or (not recipe.toolchain and has_python):
        yield f"{word} --version", True
        yield f"{word} -m pytest --collect-only -q", False
    if recipe.toolchain == "node" or "package.json" in present:
        yield "node --version", recipe.toolchain == "node"
        if "node_modules" in recipe.links:
            yield "ls node_modules | wc -l", True
    match recipe.toolchain:
        case "rust":
            yield "cargo --version", True
            yield "cargo metadata --offline --format-version 1 --quiet | wc -c", False
        case "go":
            yield "go version", True
            yield "go list ./...", False
        case "java":
            yield "java -version", True
        case _:
            return


async def _try(sandbox: Sandbox, command: str, *, needed: bool) -> Seen:
    result = await sandbox.run(f"set -o pipefail; {command}", timeout=SECONDS, cap=16 * 1024)
    lines = [line.strip() for line in result.text().splitlines() if line.strip()]
    said = clean_text(lines[-1])[:_LONGEST] if lines else ""
    # pytest: 5 is "no tests collected"
    ok = result.ok or (result.exit == 5 and "collect-only" in command)
    return Seen(command, ok, said or f"exit status {result.exit}", needed)
