"""A session over a real repository, a real bubblewrap sandbox and a scripted model server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from coder import config
from coder.agent.memory import Memory
from coder.events import Event
from coder.journal import FILE, fold, load
from coder.workflows.port import Mode
from coder.workflows.request import Request
from coder.workflows.session import Session
from tests import golden_run
from tests.scripted_server import Script, ScriptedServer, Turn

E = TypeVar("E", bound=Event)


@dataclass
class Open:
    """A session that is open, what it told, and the server that it talks to."""

    session: Session
    server: ScriptedServer
    repository: Path
    folder: Path
    before: tuple[Event, ...] = ()
    """The journal before it was opened."""
    seen: list[Event] = field(default_factory=list)

    async def done(self, seconds: float = 60) -> None:
        """Wait until nothing runs and nothing waits."""
        await until(lambda: not self.session.busy, seconds)

    async def task(self, text: str) -> None:
        await self.session.send(text)
        await self.done()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.seen if isinstance(event, kind)]

    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.server.requests]

    def copy(self, path: str) -> str:
        """A file as the model's copy has it."""
        return (self.folder / "workspace" / path).read_text()


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        await asyncio.sleep(0.01)


Opener = Callable[..., Awaitable[Open]]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    (path / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (path / "test_calc.py").write_text(
        "from calc import add\n\n\ndef test_add():\n    assert add(0, 0) == 0\n"
    )
    return path


@pytest.fixture
async def open_session(repository: Path, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens sessions; the same `name` again is the same session, resumed."""
    all_opened: list[Open] = []
    async with AsyncExitStack() as stack:

        async def opened(
            turns: Sequence[Script],
            *,
            name: str = "one",
            mode: Mode | None = None,
            workflow: str = "run",
            profile: str = "",
            **settings: Any,
        ) -> Open:
            server = stack.enter_context(ScriptedServer(turns, after="error"))
            flags = {"base_url": server.base_url, "sandbox": "bubblewrap", "profile": profile or None}
            folder = tmp_path / "runs" / name
            request = Request(
                task="",
                workflow=workflow,
                directory=repository,
                config=config.load(project=None, flags=flags | settings, environ={}),
                session=folder,
                state=folder,
                run=name,
            )
            session = Session(request, mode=mode)
            before = tuple(load(folder / FILE)) if (folder / FILE).exists() else ()
            made = Open(session, server, repository, folder, before)
            session.listen(made.seen.append)
            await session.open()
            stack.push_async_callback(session.close)
            all_opened.append(made)
            return made

        yield opened
    for made in {made.folder: made for made in all_opened}.values():
        golden_run.check(made.folder / FILE, (*made.before, *made.seen))


def remembered(folder: Path) -> Memory:
    """The memory of a journal."""
    memory = Memory()
    for event in load(folder / FILE):
        memory.advance(event)
    return memory


def same_as_live(opened: Open) -> bool:
    """Whether the journal amounts to what was told live."""
    return fold((*opened.before, *opened.seen)) == fold(load(opened.folder / FILE))


def bash(command: str) -> Turn:
    return Turn(calls=[("bash", {"command": command})])


def edit(old: str, new: str, path: str = "calc.py") -> Turn:
    arguments = {"command": "str_replace", "path": path, "old_str": old, "new_str": new}
    return Turn(calls=[("str_replace_editor", arguments)])


TEST = Turn(calls=[("run_tests", {})])
SUBMIT = Turn(calls=[("submit", {"summary": "add adds now"})])
MEND = [edit("a - b", "a + b"), TEST, SUBMIT]
