"""Digests: what a user agrees to, and what decides what comes of a set-up."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from sandbox import hostfiles
from sandbox.environments.recipe import Recipe
from sandbox.errors import FileRefused

__all__ = ["agreement", "fingerprint", "key"]

_VERSION = 1
"""Of what set-ups make: a higher one makes every environment anew."""
_LISTS = (".txt", ".in", ".toml", ".lock", ".cfg", ".json", ".yaml", ".yml")
_LARGEST_INPUT = 32 << 20


def agreement(root: Path, project: Path, recipe: Recipe) -> str:
    """What somebody agrees to: this recipe, the Dockerfile and scripts that it names, for this project alone.

    `root` holds the files, `project` is the user's own directory: many projects share the same few commands.
    """
    named = sorted({*filter(None, [recipe.dockerfile]), *_scripts(root, recipe.steps)})
    return _digest(str(project), _words(recipe), *_contents(root, named))


def fingerprint(root: Path, project: Path, recipe: Recipe, backend: str) -> str:
    """What can be known of a set-up without asking an engine: the recipe, its inputs, the platform and the backend.

    And the project: another one with the same manifests could have put something else into the environment.
    """
    files = sorted({*recipe.inputs, *filter(None, [recipe.dockerfile]), *_scripts(root, recipe.steps)})
    machine = f"{platform.system()} {platform.machine()}"
    return _digest(str(_VERSION), str(project), backend, machine, _words(recipe), *_contents(root, files))


def key(mark: str, base: str) -> str:
    """The name of an environment: its fingerprint `mark`, and the image or the interpreter that it stands upon."""
    return _digest(mark, base)[:32]


def _words(recipe: Recipe) -> str:
    words = {name: value for name, value in asdict(recipe).items() if name != "notes"}  # for people alone
    return json.dumps(words, sort_keys=True)


def _scripts(root: Path, steps: Iterable[str]) -> Iterator[str]:
    """The words of `steps` that are files of the repository, as in `bash scripts/setup.sh`; not lists of packages."""
    for step in steps:
        try:
            words = shlex.split(step)
        except ValueError:
            words = step.split()
        for word in words:
            try:
                if not word.endswith(_LISTS) and hostfiles.kind(root, word) == "file":
                    yield "/".join(hostfiles.parts_of(word))
            except (OSError, FileRefused):
                continue


def _contents(root: Path, paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield path
        try:
            data = hostfiles.read_bytes(root, path, _LARGEST_INPUT)
        except (OSError, FileRefused) as error:
            yield f"no file: {type(error).__name__}"
        else:
            yield hashlib.sha256(data).hexdigest()


def _digest(*parts: str) -> str:
    """Each part with its length before it: no two lists of parts look alike."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        found.update(b"%d:" % len(data))
        found.update(data)
    return found.hexdigest()
