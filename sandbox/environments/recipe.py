"""The two plain facts of an environment: how it would be set up, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PLACE = "/opt/coder/env"
"""Where an environment lies inside every sandbox: writable while it is set up, read-only ever after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a project's dependencies are set up. Nothing of it has run yet; everything in it may be hostile."""

    source: str
    """What it was read from, for people: `pyproject.toml and uv.lock`, `.devcontainer/devcontainer.json`."""
    toolchain: str = ""
    """The language whose programs the steps need: python, node, rust, go or java; empty when the image brings all."""
    image: str = ""
    """The image to start from; empty for the one that this program makes for the toolchain."""
    dockerfile: str = ""
    """A Dockerfile of the repository that makes the image, relative to its root."""
    context: str = "."
    """The directory that the Dockerfile is built in, relative to the repository's root."""
    build_args: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    """The stage of the Dockerfile; empty for the last."""
    steps: tuple[str, ...] = ()
    """Shell commands, one after the other, in a copy of the repository, as an ordinary user, with a network.

    What they make for later must lie in `PLACE`, which is also in their variable CODER_ENV.
    """
    inputs: tuple[str, ...] = ()
    """Files of the repository that decide what comes of the steps (lock files before manifests)."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables for the steps and for every later command. Those that forbid a network are undone in the steps."""
    path: tuple[str, ...] = ()
    """Directories inside for the front of PATH."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links in the workspace, such as `node_modules`, and where inside they lead. Never part of a patch."""
    python: str = ""
    """The interpreter for tests inside; empty when the project has none of its own."""
    test: str = ""
    """How the project's tests are run, as far as can be told; empty for pytest."""
    notes: tuple[str, ...] = ()
    """For people: what was passed over, and what the set-up cannot do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a set-up made, as sandboxes show it."""

    key: str
    """Names the recipe, its inputs, the platform and the backend: another key, another environment."""
    why: str
    """Which it is and why, as one sentence."""
    image: str = ""
    """Docker: what to start from; empty for the one that would be used without an environment."""
    directory: Path | None = None
    """What the steps made, on the host; shown read-only at `PLACE`."""
    writable: bool = False
    """`directory` may be written: true only while it is set up."""
    built: str = ""
    """Where inside the files lie that the steps made in the workspace and git ignores; copied where there are none."""
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    alias: str = ""
    """Docker: where the workspace is shown too, since what the image has installed leads there."""
