"""The file editor under the name and arguments that SWE-trained models know: `str_replace_editor`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tools.base import Arguments, Context, ToolResult, Undo, describe, parameters
from tools.dialects import EDITOR
from tools.files import inside, numbered, read_text, unified
from tools.match import Miss, locate
from tools.outline import definitions
from tools.references import references
from tools.syntax import newly_broken
from tools.text import counted
from tools.textfile import TextFile
from tools.view import view_directory, view_file

_FENCED = re.compile(r"\s*```[\w+-]*\n(.*\n)```\s*", re.DOTALL)
_PROSE = (".md", ".rst", ".txt", ".markdown")
_UNDO_DEPTH = 20
_SNIPPET = 12
"""Lines shown after an edit, at most; the model wrote the rest itself."""


@dataclass(frozen=True, slots=True)
class _Change:
    """An edit about to land. Lines count from 1 in the new text, the last included."""

    path: str
    before: bytes | None
    after: bytes
    said: str
    text: str
    first: int = 1
    last: int = 0
    """Before `first`: nothing to show."""


class Editor:
    """View, create and edit text files. An edit lands as a whole or not at all, and its result says which."""

    name = EDITOR
    parameters = parameters(
        ("command", "path"),
        command={"type": "string", "enum": ["view", "create", "str_replace", "insert", "undo_edit"]},
        path={"type": "string"},
        file_text={"type": "string"},
        old_str={"type": "string"},
        new_str={"type": "string"},
        insert_line={"type": "integer"},
        view_range={"type": "array", "items": {"type": "integer"}},
    )

    @property
    def description(self) -> str:
        return describe("editor")

    async def run(self, args: Arguments, context: Context) -> ToolResult:
        path = inside(context, args["path"])
        match args["command"]:
            case "view":
                return await _view(context, path, args)
            case "create":
                return await _create(context, path, args)
            case "str_replace":
                return await _replace(context, path, args)
            case "insert":
                return await _insert(context, path, args)
            case _:
                return _undo(context, path)


async def _view(context: Context, path: str, args: Arguments) -> ToolResult:
    if context.sandbox.workspace.kind(path) == "dir":
        return ToolResult(view_directory(context.sandbox.workspace, path))
    data, file = await read_text(context, path)
    return ToolResult(view_file(path, data, file, args.get("view_range")))


async def _create(context: Context, path: str, args: Arguments) -> ToolResult:
    """Write a whole file. An existing one keeps its line ends, and what it no longer defines is named."""
    if "file_text" not in args:
        return _refused("`file_text` is missing.")
    workspace = context.sandbox.workspace
    before, file = None, TextFile("")
    if workspace.kind(path) is not None:
        before, file = await read_text(context, path)
    text, notes = _unfenced(path, file.adapt(args["file_text"]))
    if text and not text.endswith("\n") and (before is None or file.text.endswith("\n")):
        text += "\n"
    after = file.encode(text)
    if isinstance(after, str):
        return _refused(f"Nothing was written: {after}.")
    if after == before:
        return _refused(f"{path} already has exactly this content.")
    lines = text.count("\n") + (not text.endswith("\n") and bool(text))
    said = f"{'Created' if before is None else 'Overwrote'} {path} ({counted(lines)})."
    return await _land(context, _Change(path, before, after, " ".join([said, *notes]), text))


async def _replace(context: Context, path: str, args: Arguments) -> ToolResult:
    before, file = await read_text(context, path)
    old, new = file.adapt(args.get("old_str", "")), file.adapt(args.get("new_str", ""))
    if not old:
        return _refused("`old_str` is empty.")
    if old == new:
        return _refused("`old_str` and `new_str` are the same.")
    found = locate(file.text, old, new)
    if isinstance(found, Miss):
        return _refused(f"Nothing was changed in {path}: {found.reason}")
    text = file.text[: found.start] + found.replacement + file.text[found.end :]
    first = text.count("\n", 0, found.start) + 1
    last = first + found.replacement.rstrip("\n").count("\n")
    return await _edit(context, path, before, file, text, (first, last), found.note)


async def _insert(context: Context, path: str, args: Arguments) -> ToolResult:
    if "insert_line" not in args or "new_str" not in args:
        return _refused("insert needs `insert_line` and `new_str`.")
    before, file = await read_text(context, path)
    lines, line = file.lines, args["insert_line"]
    if not 0 <= line <= len(lines):
        return _refused(
            f"Nothing was changed: {path} has {len(lines)} lines; insert_line must be 0 to {len(lines)}."
        )
    new = file.adapt(args["new_str"]).removesuffix("\n").split("\n")
    ends = "\n" if file.text.endswith("\n") or not file.text else ""
    text = "\n".join([*lines[:line], *new, *lines[line:]]) + ends
    return await _edit(context, path, before, file, text, (line + 1, line + len(new)), "")


async def _edit(
    context: Context, path: str, before: bytes, file: TextFile, text: str, span: tuple[int, int], note: str
) -> ToolResult:
    after = file.encode(text)
    if isinstance(after, str):
        return _refused(f"Nothing was changed in {path}: {after}.")
    if after == before:
        return _refused(f"Nothing was changed in {path}: the file already reads so.")
    said = f"Edited {path}{f' ({note})' if note else ''}."
    return await _land(context, _Change(path, before, after, said, text, *span))


async def _land(context: Context, change: _Change) -> ToolResult:
    """Check the new content, write it, remember the old one, and say what happened."""
    problem = newly_broken(change.path, change.before, change.after)
    if problem is not None:
        line = _line(change.text, problem.line)
        return _refused(f"Nothing was changed: {change.path} would not parse, {problem}{line}")
    context.sandbox.workspace.write(change.path, change.after)
    _remember(context, change)
    context.note_edit()
    vanished = await _vanished(context, change)
    text = "\n".join(part for part in (change.said, _snippet(change), vanished) if part)
    return ToolResult(text, diff=unified(change.path, change.before, change.after))


def _remember(context: Context, change: _Change) -> None:
    stack = context.undo.setdefault(change.path, [])
    stack.append(Undo(change.before, change.after))
    del stack[:-_UNDO_DEPTH]


def _undo(context: Context, path: str) -> ToolResult:
    """Take back the last edit of this file, and whatever commands did to it since."""
    stack = context.undo.get(path)
    if not stack:
        return _refused(f"There is no edit of {path} to undo.")
    edit, workspace = stack[-1], context.sandbox.workspace
    current = workspace.read(path, limit=1 << 30) if workspace.kind(path) == "file" else None
    if edit.before is None:
        if current is not None:
            workspace.remove(path)
        said = f"{path} is gone again: the last edit had created it."
    else:
        workspace.write(path, edit.before)
        said = f"{path} is as it was before the last edit."
    stack.pop()
    context.note_edit()
    if current != edit.after:
        said += " What else had changed it since is undone as well."
    return ToolResult(said, diff=unified(path, current, edit.before))


async def _vanished(context: Context, change: _Change) -> str:
    """Which definitions the edit removed, and where their names are still used."""
    if change.before is None:
        return ""
    now = {item.path for item in definitions(change.after, change.path)}
    lost = [
        item
        for item in definitions(change.before, change.path)
        if item.path not in now and item.kind != "variable" and item.parent.count(".") == 0
    ]
    if not lost:
        return ""
    used = await references(context, sorted({item.name for item in lost if not item.parent})[:10])
    whole = change.last < change.first
    named = [item.path for item in lost if whole or item.name in used]
    if not named:
        return ""
    uses = [f"{name} still occurs in {', '.join(places)}." for name, places in used.items()]
    shown = ", ".join(named[:10]) + (f" and {len(named) - 10} more" if len(named) > 10 else "")
    return " ".join([f"Note: no longer defined here: {shown}.", *uses])


def _snippet(change: _Change) -> str:
    """The edited lines with a few around them; the middle of a long one is left out."""
    if change.last < change.first:
        return ""
    lines = TextFile(change.text).lines
    first, last = max(1, change.first - 2), min(len(lines), change.last + 2)
    if last - first < _SNIPPET:
        return numbered(lines[first - 1 : last], first, 200)
    half = _SNIPPET // 2
    return "\n".join(
        [
            numbered(lines[first - 1 : first - 1 + half], first, 200),
            "   …",
            numbered(lines[last - half : last], last - half + 1, 200),
        ]
    )


def _line(text: str, number: int) -> str:
    """The offending line itself, since it stands in no file that could be viewed."""
    lines = text.split("\n")
    return f"\n{numbered(lines[number - 1 : number], number, 200)}" if 0 < number <= len(lines) else ""


def _unfenced(path: str, text: str) -> tuple[str, list[str]]:
    """A file that came wrapped in one Markdown fence, without it."""
    fenced = _FENCED.fullmatch(text)
    if fenced is None or PurePosixPath(path).suffix.lower() in _PROSE or "\n```" in fenced[1]:
        return text, []
    return fenced[1], ["(The Markdown fence around it was left out.)"]


def _refused(text: str) -> ToolResult:
    return ToolResult(text, ok=False)
