"""What an edit would do, without doing it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from sandbox.base import Sandbox
from tools.base import Call, Context, Toolbox, ToolResult


async def preview(toolbox: Toolbox, call: Call, context: Context) -> ToolResult:
    """The result that an editor's call would have, its diff included. Nothing is written or remembered."""
    undo = {path: list(steps) for path, steps in context.undo.items()}
    dry = replace(context, sandbox=cast("Sandbox", _Dry(context.sandbox)), undo=undo, on_output=None)
    return await toolbox.run(call, dry)


class _Unwritten:
    """A workspace that takes no writes."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def write(self, path: str, data: bytes) -> None:
        self._real.kind(path)  # what would be refused is refused

    def remove(self, path: str) -> None:
        self._real.kind(path)


class _Dry:
    def __init__(self, real: Any) -> None:
        self._real = real
        self.workspace = _Unwritten(real.workspace)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
