"""Copying: besides the terminal's own way (OSC 52), the desktop's tools where there is a desktop."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping

SECONDS = 2.0


def tools(environ: Mapping[str, str]) -> list[list[str]]:
    """The commands that could take a text on their standard input here, the likeliest first."""
    found = []
    if environ.get("WAYLAND_DISPLAY"):
        found.append(["wl-copy"])
    if environ.get("DISPLAY"):
        found += [["xclip", "-selection", "clipboard"], ["xsel", "-b", "-i"]]
    found.append(["pbcopy"])
    return [command for command in found if shutil.which(command[0], path=environ.get("PATH"))]


async def copy_with_tools(text: str, environ: Mapping[str, str]) -> str:
    """The name of the tool that took `text` and ended well; empty when none did."""
    for command in tools(environ):
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(environ),
        )
        try:
            async with asyncio.timeout(SECONDS):
                await process.communicate(text.encode("utf-8", "replace"))
        except TimeoutError:
            process.kill()
            await process.wait()
            continue
        if process.returncode == 0:
            return command[0]
    return ""
