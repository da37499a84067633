"""What a set-up says: cleaned line by line, shown as it comes, kept in a bounded file, its last lines remembered."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from sandbox.text import clean_text

__all__ = ["Transcript"]

_LINE = 2000
"""Characters of a line that are kept."""
_SHOWN_LINES = 5000
"""Lines of one step that are shown; the file has more."""
_FILE_BYTES = 8 << 20
_LAST_LINES = 20
_ENDS = re.compile(r"\r\n|\n|\r")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
"""Colours, which mean nothing in a file: everything else that steers a terminal stays visible."""


class Transcript:
    """Takes bytes in any pieces. `say` gets each line for the terminal; `secrets` never appear in any."""

    def __init__(self, path: Path, say: Callable[[str], None], secrets: Iterable[str] = ()) -> None:
        self.path = path
        self._say = say
        self._secrets = sorted((each for each in secrets if len(each) >= 4), key=len, reverse=True)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._shown = 0
        self._left = _FILE_BYTES
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = open(os.open(path, flags, 0o600), "w", encoding="utf-8", errors="replace")  # noqa: SIM115

    def begin(self, title: str) -> None:
        """Start a new step: its lines are counted and remembered anew."""
        self.flush()
        self._last.clear()
        self._shown = 0
        first, *rest = title.splitlines() or [""]
        self._take(f"$ {first}{' …' if rest else ''}")
        self._last.clear()

    def feed(self, data: bytes) -> None:
        """Output of the running step."""
        text = self._rest + self._decoder.decode(data)
        *lines, self._rest = _ENDS.split(text)
        for line in lines:
            self._take(line)
        if len(self._rest) > 2 * _LINE:  # a line without an end: only its beginning is kept anyway
            self._take(self._rest)
            self._rest = ""

    def flush(self) -> None:
        """Take what was written without a line end."""
        if self._rest:
            self._take(self._rest)
            self._rest = ""
        with contextlib.suppress(OSError):
            self._file.flush()

    def last_lines(self) -> tuple[str, ...]:
        """The end of what the present step said."""
        return tuple(self._last)

    def close(self) -> None:
        self.flush()
        with contextlib.suppress(OSError):
            self._file.close()

    def _take(self, line: str) -> None:
        line = self._clean(line)
        if not line.strip():
            return
        self._last.append(line)
        self._keep(line)
        self._shown += 1
        if self._shown <= _SHOWN_LINES:
            self._say(line)
        elif self._shown == _SHOWN_LINES + 1:
            self._say(f"[… the rest of this step is in {self.path}]")

    def _clean(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, "[…]")
        line = _STYLE.sub("", line)
        return clean_text(line[:_LINE]) + (" […]" if len(line) > _LINE else "")

    def _keep(self, line: str) -> None:
        if self._left <= 0:
            return
        self._left -= len(line) + 1
        with contextlib.suppress(OSError):  # a full disk: the lines were shown
            self._file.write(line + "\n" if self._left > 0 else "[… left out …]\n")
