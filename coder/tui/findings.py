"""The findings of a review, one a line, in the composer's place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coder.events import Finding
from coder.transcript.line import clip
from coder.transcript.safe import first_line
from coder.transcript.words import finding
from coder.tui.plate import DIM, PICKED, PLAIN, STRONG, Plate, Row

SHOWN = 8


class FindingsPanel(Plate):
    """Findings to go through: each is open, accepted or dismissed."""

    def __init__(self) -> None:
        super().__init__("findings")
        self.findings: Sequence[Finding] = ()
        self._resolved: Mapping[str, bool] = {}
        self._at = 0

    @property
    def picked(self) -> Finding | None:
        return self.findings[self._at] if self.findings else None

    def open(self, findings: Sequence[Finding], resolved: Mapping[str, bool]) -> None:
        self.findings, self._resolved, self._at = findings, resolved, 0
        self.draw()

    def close(self) -> None:
        self.findings = ()
        self.show([])

    def move(self, by: int) -> None:
        if self.findings:
            self._at = (self._at + by) % len(self.findings)
            self.draw()

    def draw(self) -> None:
        if not self.findings:
            return
        width, count = self.app.size.width, min(SHOWN, max(2, self.app.size.height - 8))
        first = min(max(0, self._at - count // 2), max(0, len(self.findings) - count))
        head: Row = [(" Findings ", STRONG), (f" {self._at + 1} of {len(self.findings)}", DIM)]
        rows = [
            self._row(found, width, picked=found is self.picked)
            for found in self.findings[first : first + count]
        ]
        keys = "Enter shows the place · a accepts · x dismisses · Esc leaves"
        self.show([head, *rows, [(clip(f" {keys}", width), DIM)]])

    def _row(self, found: Finding, width: int, *, picked: bool) -> Row:
        state = ""
        if found.id in self._resolved:
            state = "accepted: " if self._resolved[found.id] else "dismissed: "
        sign = "›" if picked else " "
        text = clip(f" {sign} {state}{first_line(finding(found))}", width)
        return [(text, PICKED if picked else DIM if state else PLAIN)]
