"""A repository of given files and its workspace, for the tests beside this file."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

from sandbox.workspace import Workspace
from tools.base import Context

Files = dict[str, str | bytes]
Open = Callable[[Files], Awaitable[Context]]
"""Make a repository of the given files and open an attempt at it."""

QUICK = "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 python3 -m pytest"
"""Pytest without this project's own plugins: a second less for every run."""


def make_workspace(place: Path, files: Files) -> Workspace:
    source = place / "repository"
    for name, content in files.items():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    source.mkdir(parents=True, exist_ok=True)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start", "--allow-empty"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", source, *identity, *arguments], check=True, capture_output=True)
    return Workspace.create(source, place / "state")
