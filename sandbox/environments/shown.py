"""An environment that was set up, shown in bubblewrap together with the user's own toolchain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from sandbox.base import WORKDIR
from sandbox.environments.recipe import PLACE, Environment
from sandbox.toolchain import Mount, Toolchain


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
        writes: Literal["shared", "forgotten"] = "shared" if environment.writable else "forgotten"
        mounts += (Mount(environment.directory.resolve(), Path(PLACE), writes),)
    return replace(
        toolchain,
        python=environment.python or toolchain.python,
        mounts=mounts,
        path=(*environment.path, *toolchain.path),
        env={**toolchain.env, **environment.env},
    )
