"""A file of a change before and after, as gates read it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from sandbox.workspace import Change

Blob = Callable[[str], bytes]
"""Gives the bytes of an object by its id."""

MAX_COMPARED = 2_000_000
"""Bytes of a file above which it is not compared line by line."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that differ. `start` is the first new line's number, from 1; either side may be empty."""

    start: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One changed file with its contents; None where it does not exist on that side."""

    path: str
    old: bytes | None
    new: bytes | None

    @property
    def text(self) -> bool:
        """Whether both sides can be compared line by line."""
        sides = [side for side in (self.old, self.new) if side is not None]
        return all(b"\0" not in side[:8000] and len(side) <= MAX_COMPARED for side in sides)

    def hunks(self) -> tuple[Hunk, ...]:
        """What differs, line by line; nothing for a binary or a very large file."""
        if not self.text:
            return ()
        old, new, matcher = self.compared()
        return tuple(
            Hunk(new_start + 1, tuple(old[old_start:old_end]), tuple(new[new_start:new_end]))
            for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes()
            if tag != "equal"
        )

    def compared(self) -> tuple[list[str], list[str], SequenceMatcher[str]]:
        """The lines of both sides, and what finds their differences; only for text."""
        old, new = _lines(self.old), _lines(self.new)
        return old, new, SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 4000)

    def added(self) -> Iterator[tuple[int, str]]:
        """Each line that is new, with its number from 1."""
        for hunk in self.hunks():
            yield from enumerate(hunk.new, hunk.start)


def changed_files(changes: Sequence[Change], blob: Blob) -> tuple[ChangedFile, ...]:
    """The contents of `changes`. Links and submodules are left out: they have no text of their own."""
    return tuple(
        ChangedFile(
            change.path,
            blob(change.old.id) if change.old else None,
            blob(change.new.id) if change.new else None,
        )
        for change in changes
        if all(side is None or side.mode.startswith("100") for side in (change.old, change.new))
    )


def essence(files: Sequence[ChangedFile]) -> bytes:
    """What is the same for two changes of the same files that differ in comments and layout of Python only: a hash."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(repr((file.path, _code(file))).encode("utf-8", "surrogatepass"))
    return digest.digest()


def _code(file: ChangedFile) -> str | bytes | None:
    if file.new is None or not file.path.endswith(".py"):
        return file.new
    try:
        return ast.dump(ast.parse(file.new))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return file.new


def _lines(data: bytes | None) -> list[str]:
    return (data or b"").decode("utf-8", "replace").splitlines()
