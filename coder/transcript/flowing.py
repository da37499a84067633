"""Markdown that streams in: cut into chunks as it comes, so that only the last chunk is ever drawn again.

Where the cuts fall depends on the text alone, never on how it arrived: a stream and its journal draw alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from coder.transcript.line import Line, Look, wrap
from coder.transcript.markdown import code_lines, markdown
from coder.transcript.safe import visible

MAX_PIECE = 4_096
"""Characters of one line after which it counts as several."""
MAX_CHUNK = 8_192
"""Characters of one chunk of text."""
CODE_LINES = 40
"""Lines of code after which a blank line ends a chunk; four times as many end it anywhere."""

_FENCE = re.compile(r"( *)(`{3,}|~{3,})([^`\n]*)$")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of the text that is complete. `info` is what a fence says of its code, None for text; `joined`
    means that it goes on where the chunk before it ended."""

    text: str
    info: str | None = None
    joined: bool = False

    def draw(self, width: int, look: Look) -> list[Line]:
        if self.info is not None:
            return code_lines(visible(self.text), self.info, width)
        if self.joined:
            return wrap([(visible(self.text.removesuffix("\n")), "text")], width)
        return markdown(visible(self.text), width, look)


class Flow:
    """Takes text bit by bit. `chunks` are complete; `rest()` is what may still change."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self._unread: list[str] = []
        self._lines: list[str] = []
        self._size = 0
        self._code: str | None = None
        """The info of the top-level fence that is open."""
        self._fence = ""
        self._inner = ""
        """The marks of an open fence inside of a list or a quote, where chunks must not end."""
        self._joined = False
        self._blank = False

    def feed(self, text: str) -> None:
        self._unread.append(text)

    def rest(self) -> Chunk | None:
        """The chunk in the making."""
        self.read()
        unread = "".join(self._unread)
        if self._code is not None and self._closes(unread):
            unread = ""
        text = "".join(self._lines) + unread
        if not text.strip() and (self._code is None or not text):
            return None
        return Chunk(text.removesuffix("\n") if self._code is not None else text, self._code, self._joined)

    def read(self) -> None:
        """Take note of all complete lines."""
        text = "".join(self._unread)
        begin = 0
        while (end := text.find("\n", begin)) >= 0 or len(text) - begin >= MAX_PIECE:
            stop = begin + MAX_PIECE if end < 0 or end - begin >= MAX_PIECE else end + 1
            self._line(text[begin:stop])
            begin = stop
        self._unread = [text[begin:]]

    def _line(self, line: str) -> None:
        if self._code is not None:
            return self._code_line(line)
        fence = None if self._inner else _FENCE.match(line.rstrip("\r\n"))
        if fence and len(fence[1]) < 4 and not (fence[1] and self._lines):
            self._end(next_joined=False)
            self._code, self._fence = fence[3].strip(), fence[2]
            return None
        if self._blank and not self._inner and not line[:1].isspace():
            self._end(next_joined=False)
        self._blank = not line.strip()
        self._lines.append(line)
        self._size += len(line)
        self._follow_inner_fence(line, fence)
        if self._size >= MAX_CHUNK:
            self._end(next_joined=True)
        return None

    def _follow_inner_fence(self, line: str, fence: re.Match[str] | None) -> None:
        if fence:
            self._inner = fence[2]
        elif self._inner and line.strip().startswith(self._inner) and not line.strip().strip(self._inner[0]):
            self._inner = ""

    def _code_line(self, line: str) -> None:
        if self._closes(line):
            self._end(next_joined=False)
            self._code = None
            return
        self._lines.append(line)
        enough = len(self._lines) >= CODE_LINES and not line.strip()
        if enough or len(self._lines) >= 4 * CODE_LINES or len(line) >= MAX_PIECE:
            self._end(next_joined=True)

    def _closes(self, line: str) -> bool:
        bare = line.strip()
        return bare.startswith(self._fence) and not bare.strip(self._fence[0]) and not line.startswith("    ")

    def _end(self, *, next_joined: bool) -> None:
        """Complete the chunk, if it holds anything."""
        text = "".join(self._lines)
        if text.strip() or (self._code is not None and self._lines):
            self.chunks.append(Chunk(text.removesuffix("\n"), self._code, self._joined))
            self._joined = next_joined
        elif not next_joined:
            self._joined = False
        self._lines, self._size, self._blank = [], 0, False


class FlowingLines:
    """The lines of a flow. Complete chunks are drawn once for a width and a look."""

    def __init__(self) -> None:
        self.flow = Flow()
        self._key: tuple[int, Look] | None = None
        self._drawn = 0
        self._lines: list[Line] = []

    def lines(self, width: int, look: Look) -> list[Line]:
        rest = self.flow.rest()
        if self._key != (width, look):
            self._key, self._drawn, self._lines = (width, look), 0, []
        for chunk in self.flow.chunks[self._drawn :]:
            self._append(self._lines, chunk, width, look)
        self._drawn = len(self.flow.chunks)
        if rest is None:
            return self._lines
        lines = list(self._lines)
        self._append(lines, rest, width, look)
        return lines

    def forget(self) -> None:
        """Give up the drawn lines."""
        self._key, self._lines = None, []

    @staticmethod
    def _append(lines: list[Line], chunk: Chunk, width: int, look: Look) -> None:
        drawn = chunk.draw(width, look)
        if lines and drawn and not chunk.joined:
            lines.append(())
        lines += drawn
