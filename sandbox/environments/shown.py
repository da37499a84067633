"""An environment that was set up, shown in bubblewrap together with the user's own toolchain."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sandbox import interpreters
from sandbox.base import WORKDIR
from sandbox.environments.recipe import PLACE, Environment
from sandbox.interpreters import Mount, Unusable
from sandbox.toolchain import Toolchain


def _base(directory: Path) -> tuple[Mount, ...]:
    """The Python that the environment's own was made from, which need not be the one that is chosen today.

    What a set-up left behind says so, and that is hostile: only a real installation is believed.
    """
    try:
        home = interpreters.read_environment(directory / "venv").home
        for name in ("python3", "python"):
            if (home / name).exists():
                return interpreters.installation_mounts(home / name, os.environ.get("HOME", ""), directory)
    except Unusable:
        pass
    return ()


def with_environment(toolchain: Toolchain | None, environment: Environment | None) -> Toolchain | None:
    """`toolchain` with the environment's directory at PLACE and its variables and programs before the toolchain's own.

    What is written at PLACE is forgotten after each command, so that none can change the programs of the next.
    Where the environment has a link, such as `node_modules`, the user's own directory is not shown.
    """
    if environment is None:
        return toolchain
    toolchain = toolchain or Toolchain(python="/usr/bin/python3", why="The system's Python.")
    tops = [Path(WORKDIR)] if toolchain.alias is None else [Path(WORKDIR), toolchain.alias]
    taken = {top / link for top in tops for link in environment.links}
    mounts = tuple(mount for mount in toolchain.mounts if mount.target not in taken)
    if environment.directory is not None:
        directory = environment.directory.resolve()
        known = {mount.target for mount in mounts}
        mounts += tuple(mount for mount in _base(directory) if mount.target not in known)
        writes: Literal["shared", "forgotten"] = "shared" if environment.writable else "forgotten"
        mounts += (Mount(directory, Path(PLACE), writes),)
    return replace(
        toolchain,
        python=environment.python or toolchain.python,
        mounts=mounts,
        path=(*environment.path, *toolchain.path),
        env={**toolchain.env, **environment.env},
    )
