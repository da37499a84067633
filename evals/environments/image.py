"""An instance's own image: the tree out of it, and the image as what commands run in.

SWE-bench's images hold the repository at /testbed, installed in place there, in a conda environment named `testbed`;
others say by their working directory where it lies.
"""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from evals.environments.failed import EnvironmentFailed
from evals.environments.tree import commit
from evals.instance import Instance
from sandbox.engine import Engine, Gone
from sandbox.environments.recipe import Environment
from sandbox.errors import SandboxError

TESTBED = "/testbed"
CONDA = "/opt/miniconda3/envs/testbed/bin"
PULL_SECONDS, COPY_SECONDS = 3600.0, 600.0
_GIT = (
    "git checkout",
    "git apply",
    "git status",
    "git show",
    "git diff",
    "git -c",
    "git config",
    "git reset",
)
"""Beginnings of lines of an evaluation script that need history, or that the grading does itself."""


async def take_image(instance: Instance, tree: Path, env: Mapping[str, str], say: Callable[[str], None]) -> Environment:  # fmt: skip
    """Put the image's repository into `tree`, as one commit; what shows the image. An image that is not on this machine
    is pulled. Raises EnvironmentFailed, SandboxError, OSError."""
    engine = await Engine.connect(None)
    try:
        found = await _image(engine, instance, say)
        workdir = str(found["Config"].get("WorkingDir") or "")
        where = workdir if workdir not in ("", "/") else TESTBED
        await _copy(engine, instance.image, where, tree)
    finally:
        engine.close()
    await asyncio.to_thread(commit, tree)
    return Environment(
        key=found["Id"],
        why=f"The instance's own image {instance.image}.",
        image=instance.image,
        env=dict(env),
        path=(CONDA,),
        alias=where,
    )


async def is_here(image: str) -> bool:
    """Whether this machine's engine has the image. Raises SandboxUnavailable without an engine."""
    engine = await Engine.connect(None)
    try:
        await engine.call("inspect_image", image)
    except Gone:
        return False
    finally:
        engine.close()
    return True


async def _image(engine: Engine, instance: Instance, say: Callable[[str], None]) -> Any:
    try:
        return await engine.call("inspect_image", instance.image)
    except Gone:
        say(f"pulling {instance.image}")
    try:
        await engine.call("pull", instance.image, limit=PULL_SECONDS)
        return await engine.call("inspect_image", instance.image)
    except SandboxError as error:
        raise EnvironmentFailed(
            f"{instance.id}: the image {instance.image} is not here and could not be pulled: {error}",
            hint="Without a network, load it first (docker load), or run with --sandbox bubblewrap and a recipe.",
        ) from error


async def _copy(engine: Engine, image: str, where: str, tree: Path) -> None:
    made = await engine.call("create_container", image, command=["true"], network_disabled=True)
    try:
        stream, _ = await engine.call("get_archive", made["Id"], where, limit=COPY_SECONDS)
        await asyncio.to_thread(_unpack, stream, tree)
    finally:
        await engine.call("remove_container", made["Id"], force=True, v=True)


def _unpack(stream: Iterable[bytes], tree: Path) -> None:
    """Without its history, which would hold the fix."""
    beside = tree.with_name(f"{tree.name}.image")
    try:
        with tarfile.open(fileobj=_Reader(iter(stream)), mode="r|") as archive:  # type: ignore[call-overload]  # it reads alone
            archive.extractall(beside, members=_wanted(archive), filter="data")
        (top,) = beside.iterdir()
        top.rename(tree)
    except (tarfile.TarError, ValueError) as error:
        raise EnvironmentFailed(f"the image's repository cannot be read: {error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _wanted(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        parts = Path(member.name).parts
        if len(parts) < 2 or parts[1] != ".git":
            yield member


class _Reader:
    """A stream of chunks as a file that can be read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""

    def read(self, size: int) -> bytes:
        parts, count = [self._held], len(self._held)
        while count < size and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            count += len(chunk)
        data = b"".join(parts)
        self._held = data[size:]
        return data[:size]


def only_tests(script: str) -> str:
    """An evaluation script without what needs history and what the grading does itself: the tests of the set are laid
    over the tree before. It ends as its tests do."""
    kept, until = [], ""
    for line in script.splitlines():
        if until:
            until = "" if line.strip() == until else until
            continue
        text = line.strip()
        if text.startswith(_GIT):
            until = text.rpartition("<<")[2].strip().strip("'\"-") if "<<" in text else ""
            continue
        kept.append("exit $?" if ">>>>> End Test Output" in text else line)
    return "\n".join(kept)
