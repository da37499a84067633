"""Paths as models write them, files as text, and the difference between two versions."""

from __future__ import annotations

import difflib
import posixpath
from pathlib import PurePosixPath

from sandbox.base import WORKDIR
from sandbox.errors import FileRefused
from sandbox.text import clean_text
from tools.base import Context
from tools.ripgrep import files
from tools.text import clip
from tools.textfile import TextFile, decode

MAX_BYTES = 4_000_000
"""Larger files are for commands, not for the editor."""
FEW_FILES = 20
"""So many are all named in a hint."""
_DIFF_CHARACTERS = 200_000
_CUT = "\\ The change is larger than what is shown.\n"


def inside(context: Context, path: str) -> str:
    """The path relative to the workspace (`.` for itself). Raises FileRefused for one that lies elsewhere."""
    written = path.strip()
    # tracebacks of editable installs name files by their place outside
    home = next(
        (top for top in (WORKDIR, str(context.sandbox.workspace.source)) if _is_beneath(written, top)), ""
    )
    if home:
        relative = posixpath.normpath(written.removeprefix(home).lstrip("/") or ".")
    elif not written.startswith(("/", "~")):
        relative = posixpath.normpath(written or ".")
        bare = relative.removeprefix(f"{WORKDIR[1:]}/")
        if bare != relative and context.sandbox.workspace.kind(relative) is None:
            relative = bare
    else:
        # A container path from a model's training, /testbed/src/x.py: only when just one file can be meant.
        relative = _known_tail(context, written)
    if relative == ".." or relative.startswith("../") or not relative:
        raise FileRefused(f"{path!r} lies outside {WORKDIR}", hint="Use bash for it.")
    return relative


def _is_beneath(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


async def similar(context: Context, path: str) -> str:
    """A hint naming files of the same or a like name; else all files, when those are few."""
    name = PurePosixPath(path).name
    escaped = "".join(f"\\{character}" if character in "*?[]{}!\\" else character for character in name)
    _, found = await files(context, f"**/{escaped}")
    if not found and context.sandbox.workspace.kind(posixpath.dirname(path) or ".") == "dir":
        entries = context.sandbox.workspace.list(posixpath.dirname(path) or ".")
        near = difflib.get_close_matches(name, [PurePosixPath(entry.path).name for entry in entries], 3)
        found = [posixpath.join(posixpath.dirname(path), other) for other in near]
    if found:
        return f" Did you mean {' or '.join(found[:3])}?"
    _, every = await files(context, "!.git")  # a glob that takes files would take ignored ones, too
    return f" The files are {', '.join(every)}." if 0 < len(every) <= FEW_FILES else ""


async def read_text(context: Context, path: str) -> tuple[bytes, TextFile]:
    """A text file of the workspace. Raises FileRefused, with what to do, for anything else."""
    workspace = context.sandbox.workspace
    kind = workspace.kind(path)
    if kind is None:
        raise FileRefused(f"{path} does not exist", hint=(await similar(context, path)).strip())
    if kind == "dir":
        raise FileRefused(f"{path} is a directory")
    data = workspace.read(path, limit=MAX_BYTES)
    file = decode(data)
    if file is None:
        raise FileRefused(f"{path} is a binary file ({len(data)} bytes)", hint="Use bash for it.")
    return data, file


def numbered(lines: list[str], first: int, width: int = 400) -> str:
    """Lines with their numbers as `cat -n` writes them, each at most `width` characters."""
    return "\n".join(
        f"{first + index:>6}\t{clip(clean_text(line), width)}" for index, line in enumerate(lines)
    )


def unified(path: str, before: bytes | None, after: bytes | None) -> str:
    """A unified diff for display; large or binary changes are only named. None: the file is not there."""
    old, new = (decode(data or b"") for data in (before, after))
    names = [
        f"a/{path}" if before is not None else "/dev/null",
        f"b/{path}" if after is not None else "/dev/null",
    ]
    header = f"--- {names[0]}\n+++ {names[1]}\n"
    if old is None or new is None:
        return f"Binary files {names[0]} and {names[1]} differ\n"
    if len(old.text) + len(new.text) > 20 * _DIFF_CHARACTERS:
        return header + _CUT
    whole = header + "".join(_hunks(_kept(old.text), _kept(new.text)))
    return whole if len(whole) <= _DIFF_CHARACTERS else f"{whole[:_DIFF_CHARACTERS]}\n{_CUT}"


def _kept(text: str) -> list[str]:
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop().removesuffix("\n")
    return [*lines, f"{last}\n\\ No newline at end of file\n"] if last else lines


def _hunks(old: list[str], new: list[str]) -> list[str]:
    """Hunks of a unified diff; what both share at both ends is set aside first, which keeps large files fast."""
    first = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    skipped = max(0, first - 3)
    room = min(len(old), len(new)) - first
    rest = zip(reversed(old), reversed(new), strict=False)
    same = next((i for i, (a, b) in enumerate(rest) if a != b or i >= room), room)
    tail = max(0, same - 3)
    old, new = old[skipped : len(old) - tail], new[skipped : len(new) - tail]
    body = list(difflib.unified_diff(old, new))[2:]
    return [_moved(line, skipped) if line.startswith("@@") else line for line in body]


def _moved(header: str, by: int) -> str:
    """`@@ -1,4 +1,5 @@` with both starts moved down."""
    parts = header.split(" ")
    for index in (1, 2):
        start, comma, count = parts[index][1:].partition(",")
        parts[index] = f"{parts[index][0]}{int(start) + by}{comma}{count}"
    return " ".join(parts)


def _known_tail(context: Context, path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".", "..", "~")]
    for start in range(min(len(parts), 6)):
        tail = "/".join(parts[start:])
        if "/" in tail and context.sandbox.workspace.kind(tail) is not None:
            return tail
    return ""
