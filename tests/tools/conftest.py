"""A real repository, its workspace and a real sandbox for every test that asks."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.base import Policy, Result
from sandbox.bubblewrap import Bubblewrap
from sandbox.toolchain import detect
from tests.tools.attempts import QUICK, Files, Open, make_workspace
from tools.base import Context, Toolbox
from tools.standard import standard_toolbox


class StartedOnDemand(Bubblewrap):
    """Most edits need no command: the sandbox is started for the first one."""

    _is_started = False

    async def run(self, script: str, **options: Any) -> Result:
        if not self._is_started:
            await self.start()
            self._is_started = True
        return await super().run(script, **options)


@pytest.fixture
def toolbox() -> Toolbox:
    return standard_toolbox("nemotron")


@pytest.fixture
async def attempt(tmp_path: Path) -> AsyncIterator[Open]:
    """Make a repository of the given files and open an attempt at it."""
    opened: list[Context] = []

    async def open_attempt(files: Files) -> Context:
        workspace = make_workspace(tmp_path / str(len(opened)), files)
        toolchain = detect(workspace.source, {}, Path(sys.executable))
        sandbox = StartedOnDemand(workspace, Policy(memory_mb=1024), toolchain=toolchain)
        opened.append(Context(sandbox=sandbox, command_timeout=30, test_command=QUICK))
        return opened[-1]

    yield open_attempt
    for context in opened:
        await context.sandbox.close()
        context.sandbox.workspace.close()
