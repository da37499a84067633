"""How files and directories are shown to the model: windows, outlines, two levels of names."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.base import WORKDIR
from sandbox.errors import FileRefused
from sandbox.text import clean_text
from sandbox.walking import Entry
from sandbox.workspace import Workspace
from tools.files import numbered
from tools.outline import outline
from tools.text import counted, words
from tools.textfile import TextFile, decode

WINDOW = 100
"""Lines. SWE-agent's ablation: windows of 100 lines solved more than of 30 or than whole files."""
_SLACK = 20
"""So few more lines are not worth a second call."""
LARGE = 300
"""Lines from which a file without a range is shown as an outline."""
_CHARACTERS = 10_000
_ENTRIES = 100
_LOOKED_AT = 5_000
_COUNTED_BYTES = 256_000
_JUNK = words("__pycache__ node_modules .venv venv .tox .mypy_cache .pytest_cache .ruff_cache")


def view_file(path: str, data: bytes, file: TextFile, wanted: Sequence[int] | None) -> str:
    """A window of the file with line numbers, or its outline when it is long and no range was asked for."""
    lines = file.lines
    if not lines:
        return f"{path} is empty."
    if wanted:
        return _window(path, lines, *_bounds(wanted, len(lines)))
    if len(lines) <= WINDOW + _SLACK:
        return _window(path, lines, 1, len(lines))
    if len(lines) > LARGE:
        entries = outline(data, path)
        if entries:
            head = f"{path} has {len(lines)} lines. Its outline; view parts of it with view_range:"
            return "\n".join([head, *entries])
    below = outline(data, path, first=WINDOW + 1, limit=40)
    rest = ["Below:", *below] if below else []
    return "\n".join([_window(path, lines, 1, WINDOW), *rest])


def _bounds(wanted: Sequence[int], count: int) -> tuple[int, int]:
    """First and last line of a range as models give it: ends swapped, -1 or past the end are understood."""
    first = wanted[0]
    last = wanted[1] if len(wanted) > 1 else first + WINDOW - 1
    last = count if last == -1 or last > count else last
    first = max(1, min(first, count))
    return (first, last) if first <= last else (max(1, last), first)


def _window(path: str, lines: list[str], first: int, last: int) -> str:
    shown = numbered(lines[first - 1 : last], first)
    if len(shown) > _CHARACTERS:
        kept = shown[:_CHARACTERS].rpartition("\n")[0]
        last = first + kept.count("\n")
        shown = kept
    left_out = len(lines) - (last - first + 1)
    return f"{shown}\n[lines {first}-{last} of {len(lines)} in {path}]" if left_out else shown


def view_directory(workspace: Workspace, path: str) -> str:
    """Two levels of names, files with their number of lines, an entry a line; what is left out is counted."""
    below: dict[str, list[Entry]] = {}
    top: list[Entry] = []
    for entry in workspace.list(path, depth=2, limit=_LOOKED_AT):
        parts = entry.path.split("/")
        if _JUNK & set(parts):
            continue
        if len(parts) == 1:
            top.append(entry)
        else:
            below.setdefault(parts[0], []).append(entry)
    room = _ENTRIES - len(top)
    share = room if sum(map(len, below.values())) <= room else max(0, room // max(1, len(below)))
    lines = [f"{WORKDIR if path == '.' else path}/"]
    for entry in top[:_ENTRIES]:
        lines.append(f"  {_entry(workspace, path, entry)}")
        children = below.get(entry.path, [])
        lines += [f"    {_entry(workspace, path, child)}" for child in children[:share]]
        lines += [f"    … {len(children) - share} more"] if len(children) > share else []
    lines += [f"  … {len(top) - _ENTRIES} more entries"] if len(top) > _ENTRIES else []
    return "\n".join(lines if top else [*lines, "(empty)"])


def _entry(workspace: Workspace, above: str, entry: Entry) -> str:
    name = clean_text(entry.path.rpartition("/")[2]).replace("\n", "␊")
    if entry.kind == "file":
        return f"{name}  ({_size(workspace, above, entry)})"
    return name + ("/" if entry.kind == "dir" else " (link)")


def _size(workspace: Workspace, above: str, entry: Entry) -> str:
    if entry.size > _COUNTED_BYTES:
        return f"{entry.size // 1024} KiB"
    try:
        file = decode(workspace.read(f"{above}/{entry.path}", limit=_COUNTED_BYTES))
    except (FileRefused, OSError):
        return "unreadable"
    return f"{entry.size} bytes, binary" if file is None else counted(len(file.lines))
