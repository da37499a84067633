"""A tool call: one line, the last lines of its output while it runs, its diff when it changed something."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from coder import events
from coder.transcript import diff, words
from coder.transcript.block import MAX_LINES, Block, capped, cut_rows, headline
from coder.transcript.line import Line, Look, Segment, wrap
from coder.transcript.safe import visible

LAST_LINES = 5
"""Rows of output that are seen while a command runs, and after it failed."""
DIFF_LINES = 16
"""Rows of a diff that are seen while the call is folded."""
_KEPT = 65_536
"""Characters of output that are kept while a command runs; its result has all of it."""


class ToolCall(Block):
    """`state` is running, ok, failed or stopped."""

    kind = "tool"
    foldable = True

    def __init__(self, name: str, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.state = "running"
        self._name = name
        self._arguments = arguments
        self._about = words.about(arguments)
        self._text = ""
        self._diff = ""
        self._figures: list[str] = []
        self._seconds = ""

    @property
    def source(self) -> str:
        return self._diff or self._text or str(self._arguments.get("command", self._about))

    @cached_property
    def _rows(self) -> list[diff.Row]:
        return diff.parse(self._diff)

    def append(self, text: str) -> None:
        """Output of the running command."""
        if self.state == "running":
            self._text = (self._text + text)[-_KEPT:]
            self.touch()

    def finish(self, event: events.ToolFinished) -> None:
        self.state = "ok" if event.ok and not event.exit else "failed"
        self._text, self._diff = event.text, event.diff
        self._seconds = words.duration(event.seconds)
        if event.exit:
            self._figures.append(f"exit {event.exit}")
        if event.diff:
            added, removed = diff.counts(self._rows)
            self._figures.append(f"+{added} -{removed}")
        self.touch()

    def stop(self) -> None:
        """The run ended in the middle of the call."""
        self.state, self._text = "stopped", ""
        self.touch()

    def draw(self, width: int, look: Look) -> list[Line]:
        unfolded = self.open or look.whole
        body = self._diff_rows(width, look, unfolded) if self._diff else self._output(width, look, unfolded)
        return [self._head(width, look), *(self._command(width) if unfolded else []), *body]

    def guess(self, width: int) -> int:
        if self._diff:
            return 1 + min(DIFF_LINES + 1, self._diff.count("\n"))
        return 1 if self.state == "ok" else 1 + min(LAST_LINES + 1, self._text.count("\n") + 1)

    def _head(self, width: int, look: Look) -> Line:
        style = {"ok": "ok", "failed": "error", "running": "running", "stopped": "warning"}[self.state]
        sign = getattr(look.glyphs, self.state)
        name = f"tool {self._name}" if look.words else f"{visible(self._name):<6}"
        parts: list[Segment] = [(f"{sign} ", style), (name, "tool"), (f" {self._about}", "tool.about")]
        figures = [*self._figures, self._seconds] if self._seconds else self._figures
        return headline(parts, "  ".join(figures), width)

    def _command(self, width: int) -> list[Line]:
        """A command of several lines, whole."""
        command = self._arguments.get("command")
        if not isinstance(command, str) or "\n" not in command.strip():
            return []
        return capped(command, width, (("  $ ", "dim"),), "code", MAX_LINES)

    def _diff_rows(self, width: int, look: Look, unfolded: bool) -> list[Line]:
        files = sum(row.sign == "f" for row in self._rows) > 1 or "path" not in self._arguments
        rows = [row for row in self._rows if row.sign != "@"] if not unfolded else self._rows
        room = MAX_LINES if unfolded else DIFF_LINES
        drawn = diff.draw(rows[: room + 1], width - 2, look, files=files)
        missing = max(0, len(rows) - room - 1)
        drawn = [((("  ", "text")), *line) for line in drawn]
        if len(drawn) > room:
            return [
                *drawn[:room],
                ((f"  {look.glyphs.more} {len(drawn) - room + missing} more lines", "dim"),),
            ]
        return drawn

    def _output(self, width: int, look: Look, unfolded: bool) -> list[Line]:
        text = self._text.strip("\n")
        if not text or (self.state == "ok" and not unfolded):
            return []
        bar: Line = ((f"  {look.glyphs.bar} " if look.glyphs.bar else "    ", "rule"),)
        if unfolded:
            return capped(text, width, bar, "output", MAX_LINES, look, rest=bar)
        tail = text[-LAST_LINES * width :]
        rows = wrap([(visible(tail), "output")], width, bar, bar)
        hidden = text.count("\n") + 1 - LAST_LINES
        if hidden > 0 and self.state != "running":
            more = f"  {look.glyphs.more} {words.counted(hidden, 'line')} before"
            return [((more, "dim"),), *cut_rows(rows[-LAST_LINES:], LAST_LINES, look)]
        return rows[-LAST_LINES:]
