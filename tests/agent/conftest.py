"""An agent over a real workspace, a real bubblewrap sandbox and a scripted model server."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from coder.agent.limits import Limits
from coder.agent.loop import Agent, Ending
from coder.events import Event, Stream
from coder.model.client import ModelClient
from coder.model.endpoint import connect
from coder.model.roles import Levels
from coder.model.thinking import Thinking
from sandbox.base import Policy
from sandbox.choose import open_sandbox
from sandbox.toolchain import detect
from sandbox.workspace import Workspace
from tests.scripted_server import Script, ScriptedServer
from tools.base import Context
from tools.standard import standard_toolbox


@dataclass
class Played:
    """What a script led to."""

    ending: Ending
    context: Context
    seen: list[Event] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def results(self) -> list[str]:
        """The tool results that the last request carried."""
        return [m["content"] for m in self.bodies[-1]["messages"] if m["role"] == "tool"]


FULL = Levels(Thinking("full"), Thinking("full"))
Play = Callable[..., Awaitable[Played]]


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[Context]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    workspace = Workspace.create(source, tmp_path / "state")
    toolchain = detect(source, os.environ, Path(sys.executable))
    sandbox, _ = await open_sandbox("bubblewrap", workspace, Policy(), image=None, toolchain=toolchain)
    yield Context(sandbox=sandbox, python=toolchain.python, command_timeout=20)
    await sandbox.close()
    workspace.close()


@pytest.fixture
def play(context: Context) -> Play:
    """Let an agent work against scripted answers until it ends."""

    async def run(
        turns: Sequence[Script],
        *,
        turns_allowed: int = 30,
        gate: Any = None,
        note: str = "",
        task: str = "task",
        levels: Levels = FULL,
        profile: str | None = None,
        server: ScriptedServer | None = None,
    ) -> Played:
        seen: list[Event] = []

        async def surroundings() -> Context:
            return context

        with server or ScriptedServer(turns, after="repeat") as serving:
            endpoint, known = await connect(serving.base_url, None, None, profile=profile)
            model = ModelClient(endpoint, known)
            agent = Agent(
                model=model,
                toolbox=standard_toolbox("nemotron"),
                context=surroundings,
                limits=Limits(turns=turns_allowed),
                emit=Stream("run", seen.append).emit,
                levels=levels,
                finish_gate=gate,
            )
            if note:
                agent.tell(note)
            try:
                ending = await agent.run("system", task)
            finally:
                await model.close()
            return Played(ending, context, seen, [request.body for request in serving.requests])

    return run
