"""A strict reader of git's patch format: what it does not understand to the last line, it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.errors import PatchRefused
from sandbox.text import clean_text

__all__ = ["PatchFile", "parse_patch"]

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_INDEX = re.compile(rb"index [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}(?: ([0-7]{6}))?")
_BINARY = re.compile(rb"(?:literal|delta) \d+")
_ESCAPE = re.compile(rb"\\(?:([abfnrtv\"\\])|([0-3][0-7]{2}))")
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_NOTHING = b"/dev/null"


@dataclass(slots=True)
class PatchFile:
    """What a patch does to one file. A mode is None on the side where the file is not, or where it is not said."""

    path: str
    old_mode: str | None = None
    new_mode: str | None = None
    additions: int = 0
    deletions: int = 0
    binary: bool = False
    added: bool = False
    deleted: bool = False
    link_target: bytes | None = None
    """Where a symbolic link points after the patch."""


def parse_patch(patch: bytes) -> list[PatchFile]:
    """The files of a patch as git writes it (`git diff`, nothing before or after). Raises PatchRefused."""
    lines = patch.split(b"\n")
    if lines.pop() != b"":
        raise PatchRefused(["the patch ends in the middle of a line"])
    reader = _Reader(lines)
    files: list[PatchFile] = []
    while reader.line is not None:
        files.append(_read_file(reader))
    return files


class _Reader:
    """Lines with a position."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._next = 0

    @property
    def line(self) -> bytes | None:
        return self._lines[self._next] if self._next < len(self._lines) else None

    def take(self, prefix: bytes) -> bytes | None:
        """The rest of the line if it begins with `prefix`, and on to the next one; None otherwise."""
        if self.line is None or not self.line.startswith(prefix):
            return None
        self._next += 1
        return self._lines[self._next - 1][len(prefix) :]

    def refuse(self, what: str) -> PatchRefused:
        text = clean_text((self.line or b"its end")[:80].decode("utf-8", "replace"))
        return PatchRefused([f"line {self._next + 1} of the patch: {what}, found {text!r}"])


def _read_file(reader: _Reader) -> PatchFile:
    names = reader.take(b"diff --git ")
    if names is None:
        raise reader.refuse("expected `diff --git`")
    name = _name(names)
    modes: dict[bytes, str] = {}
    while (header := _read_header(reader)) is not None:
        key, mode = header
        modes[key] = mode
    file = PatchFile(name.decode("utf-8", "surrogateescape"))
    file.added, file.deleted = b"new file" in modes, b"deleted file" in modes
    file.old_mode = (
        None if file.added else modes.get(b"deleted file") or modes.get(b"old") or modes.get(b"index")
    )
    file.new_mode = (
        None if file.deleted else modes.get(b"new file") or modes.get(b"new") or modes.get(b"index")
    )
    if not (file.old_mode or file.new_mode):
        # git would take the mode, and with it the kind, of whatever is there
        raise PatchRefused([f"{clean_text(file.path)}: a change that does not say what kind of file it is"])
    if reader.take(b"GIT binary patch") is not None:
        file.binary = True
        _read_binary(reader)
    else:
        _read_text(reader, file, name)
    return file


def _read_header(reader: _Reader) -> tuple[bytes, str] | None:
    for key in (b"old", b"new", b"deleted file", b"new file"):
        if (mode := reader.take(key + b" mode ")) is not None:
            if not re.fullmatch(rb"[0-7]{6}", mode):
                raise reader.refuse("expected a file mode of six digits before this")
            return key, mode.decode()
    if reader.line is not None and (match := _INDEX.fullmatch(reader.line)):
        reader.take(b"")
        return b"index", (match[1] or b"").decode()
    return None


def _name(line: bytes) -> bytes:
    """The path of a `diff --git` line: it stands there twice, which is how to tell where an unquoted one ends."""
    half = (len(line) - 1) // 2
    old, new = _unquoted(line[:half]), _unquoted(line[half + 1 :])
    if line[half : half + 1] != b" " or old[:2] != b"a/" or new[:2] != b"b/" or old[2:] != new[2:]:
        shown = clean_text(line.decode("utf-8", "replace"))
        raise PatchRefused(
            [f"{shown}: not one file (make patches with --no-renames and the prefixes a/ and b/)"]
        )
    return old[2:]


def _unquoted(name: bytes) -> bytes:
    if len(name) < 2 or name[:1] != b'"' or name[-1:] != b'"':
        return name
    return _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]) if m[1] else bytes([int(m[2], 8)]), name[1:-1])


def _read_binary(reader: _Reader) -> None:
    blocks = 0
    while reader.line is not None and _BINARY.fullmatch(reader.line):
        blocks += 1
        reader.take(b"")
        while reader.line:
            reader.take(b"")
        if reader.take(b"") is None:
            raise reader.refuse("expected an empty line after binary data")
    if not blocks:
        raise reader.refuse("expected binary data")


def _read_text(reader: _Reader, file: PatchFile, name: bytes) -> None:
    if (before := reader.take(b"--- ")) is None:
        return
    after = reader.take(b"+++ ")
    old = _NOTHING if file.added else b"a/" + name
    new = _NOTHING if file.deleted else b"b/" + name
    # git puts a tab after a name with blanks in it
    if after is None or [_unquoted(text.removesuffix(b"\t")) for text in (before, after)] != [old, new]:
        raise PatchRefused([f"{clean_text(file.path)}: another name in its `---` and `+++` lines"])
    content: list[bytes] = []
    while reader.line is not None and (match := _HUNK.match(reader.line)):
        reader.take(b"")
        _read_hunk(reader, file, int(match[2] or 1), int(match[4] or 1), content)
    if file.new_mode == "120000":
        file.link_target = b"".join(content).removesuffix(b"\n")


def _read_hunk(reader: _Reader, file: PatchFile, old_left: int, new_left: int, content: list[bytes]) -> None:
    while old_left or new_left:
        if (line := reader.take(b"+")) is not None:
            new_left -= 1
            file.additions += 1
            content.append(line + b"\n")
        elif reader.take(b"-") is not None:
            old_left -= 1
            file.deletions += 1
        elif reader.take(b" ") is not None:
            old_left -= 1
            new_left -= 1
        elif reader.take(b"\\ ") is None:
            raise reader.refuse("expected a line of a hunk")
        if min(old_left, new_left) < 0:
            raise reader.refuse("expected fewer lines in the hunk before this")
    reader.take(b"\\ ")
