"""The user's own compilers, runtimes and package caches beside Python: what of them bubblewrap shows, never their settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandbox.toolchains.go import find_go
from sandbox.toolchains.java import find_java
from sandbox.toolchains.machine import Found, Machine
from sandbox.toolchains.node import find_node
from sandbox.toolchains.rust import find_rust

__all__ = ["Found", "find_all"]

_LANGUAGES: Sequence[tuple[frozenset[str], Callable[[Machine], Found]]] = (
    (frozenset(["package.json"]), find_node),
    (frozenset(["Cargo.toml"]), find_rust),
    (frozenset(["go.mod", "go.work"]), find_go),
    (
        frozenset(["pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"]),
        find_java,
    ),
)


def find_all(repository: Path, environ: Mapping[str, str]) -> list[Found]:
    """The toolchains of the languages whose manifests lie in the repository's root or one directory deeper.

    Nothing is run. `environ` is the user's own environment.
    """
    machine = Machine(repository, environ)
    manifests = machine.manifests()
    found = [find(machine) for names, find in _LANGUAGES if names & manifests]
    return [one for one in found if one != Found()]
