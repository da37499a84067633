"""A window over a scripted port, without a terminal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from coder.tui.app import Window
from coder.tui.settings import Settings
from tests.tui.ports import ScriptedPort, connecting
from tests.tui.shown import Shown

Show = Callable[..., AbstractAsyncContextManager[Shown]]


@pytest.fixture
def show(tmp_path: Path) -> Show:
    """Opens a window: `async with show(port, size=(80, 24)) as shown`."""

    @asynccontextmanager
    async def open_window(
        port: ScriptedPort | None = None,
        *,
        size: tuple[int, int] = (100, 30),
        past: Any = (),
        task: str = "",
        **settings: Any,
    ) -> AsyncIterator[Shown]:
        port = port or ScriptedPort()
        chosen = Settings(state=tmp_path / "state", folder=tmp_path / "session", **settings)
        window = Window(connecting(port, tmp_path / "session", past), chosen, task=task)
        async with window.run_test(size=size) as pilot:
            await pilot.pause()
            yield Shown(window, pilot, port)
        await window.leave()

    return open_window
