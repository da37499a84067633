"""A running window in a test: what it shows, and hands to use it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

from coder.events import Event
from coder.tui.app import Window
from tests.tui.ports import ScriptedPort

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f]")


@dataclass(frozen=True)
class Shown:
    window: Window
    pilot: Pilot[Any]
    port: ScriptedPort

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        """Type `text`, a key at a time, as fast as a terminal hands over what was typed ahead."""
        for character in text:
            self.window.post_message(pressed(character))
        await self.pilot.pause()

    async def tell(self, *told: Event) -> None:
        await self.port.tell(*told)
        await self.pilot.pause()

    async def calm(self) -> None:
        """As if nobody had touched a key for a while."""
        self.window.last_key = time.monotonic() - 60
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f"it did not happen; asked was {self.port.asked}, shown is\n{self.text}"
            )
            await asyncio.sleep(0.02)
            await self.pilot.pause()

    async def resize(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)
        await self.pilot.pause()
        await self.pilot.pause()

    async def settled(self) -> None:
        """Wait until what is shown stays the same."""
        before = ""
        while self.text != before:
            before = self.text
            await asyncio.sleep(0.08)
            await self.pilot.pause()

    @property
    def rows(self) -> list[str]:
        """The screen's rows."""
        strips = self.window.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.rows)

    @property
    def written(self) -> str:
        """The text in the composer."""
        return self.window.composer.text

    def asked(self, what: str) -> list[Any]:
        """With what the port was asked for `what`."""
        return [value for name, value in self.port.asked if name == what]


def pressed(name: str) -> Key:
    """The event of a key press: a character, or a key's name."""
    if name == "\n":
        return Key("ctrl+j", None)
    return Key(_character_to_key(name), name) if len(name) == 1 else Key(name, None)
