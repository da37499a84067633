"""ripgrep over the workspace: inside the sandbox where it has one, else ours on the host under guards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.base import Context

_OPTIONS = (
    "--no-config",
    "--no-follow",
    "--no-messages",
    "--no-ignore-global",
    "--no-ignore-parent",
    "--no-ignore-exclude",
    "--hidden",
    "--color=never",
    "--max-filesize=4M",
    "--sort=path",
)
_CAP = 2_000_000
"""Bytes of output that are looked at."""
_SECONDS = 20.0
_STATUSES = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Found:
    """`exit` as ripgrep reports it: 0 hits, 1 none, 2 trouble (there may be hits). `cut`: output is missing."""

    exit: int
    output: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    path: str
    line: int
    text: str


async def ripgrep(context: Context, arguments: Sequence[str]) -> Found | None:
    """Run ripgrep in the workspace with paths relative to it, or None when there is no ripgrep at all.

    Inside is preferred: the sandbox bounds memory and time, and a search sees what the tests see. On the host
    it stays harmless over a hostile tree, because nothing runs in the sandbox meanwhile and because no link
    is followed, no preprocessor or configuration is read, and time and output are bounded. The caller has
    to make sure that every path among `arguments` is a real file or directory of the workspace.
    """
    if context.ripgrep_inside:
        script = f"exec rg {shlex.join([*_OPTIONS, *arguments])}"
        result = await context.sandbox.run(script, timeout=_SECONDS, cap=2 * _CAP)
        if result.exit != 127:
            gap = result.total_bytes > len(result.head) + len(result.tail)
            output = _text(result.head if gap else result.head + result.tail)
            if result.timed_out or result.exit not in _STATUSES:
                return Found(0 if output else 1, output, cut=True)
            return Found(result.exit, output, cut=gap)
        context.ripgrep_inside = False
    program = host_ripgrep()
    return None if program is None else await _on_host(program, context.sandbox.workspace.root, arguments)


async def hits(context: Context, arguments: Sequence[str]) -> tuple[Found | None, list[Hit]]:
    """Matching lines; `arguments` are options, patterns and paths. Very long lines come shortened."""
    shape = (
        "--null",
        "--line-number",
        "--no-heading",
        "--with-filename",
        "--max-columns=400",
        "--max-columns-preview",
    )
    found = await ripgrep(context, [*shape, *arguments])
    lines = found.output.split("\n") if found and found.exit != 1 else []
    return found, [hit for line in lines if (hit := _hit(line)) is not None]


async def files(context: Context, glob: str, path: str = ".") -> tuple[Found | None, list[str]]:
    """Files whose path matches `glob`."""
    found = await ripgrep(context, ["--files", "--null", "--glob", glob, "--glob", "!.git", "--", path])
    names = found.output.split("\x00") if found and "\x00" in found.output else []
    return found, [name.removeprefix("./") for name in names if name]


def host_ripgrep() -> str | None:
    """A system `rg`, else the one that a wheel put beside our interpreter. Relative PATH entries do not count."""
    trusted = [part for part in os.environ.get("PATH", "").split(os.pathsep) if os.path.isabs(part)]
    return shutil.which("rg", path=os.pathsep.join([*trusted, str(Path(sys.executable).parent)]))


async def _on_host(program: str, root: str | os.PathLike[str], arguments: Sequence[str]) -> Found:
    process = await asyncio.create_subprocess_exec(
        program,
        *_OPTIONS,
        *arguments,
        cwd=root,
        env={},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    output, complete = bytearray(), False
    try:
        async with asyncio.timeout(_SECONDS):
            while len(output) < _CAP and not complete:
                chunk = await process.stdout.read(65_536)
                output += chunk
                complete = not chunk
    except TimeoutError:
        pass
    finally:
        if not complete:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        status = await process.wait()
    return Found(status if complete else 0 if output else 1, _text(bytes(output)), cut=not complete)


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace")


def _hit(line: str) -> Hit | None:
    path, separator, rest = line.partition("\x00")
    number, colon, text = rest.partition(":")
    if not separator or not colon or not number.isdecimal():
        return None
    return Hit(path.removeprefix("./"), int(number), text.rstrip("\r"))
