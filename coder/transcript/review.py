"""Candidates and reviews as blocks."""

from __future__ import annotations

from coder import events
from coder.transcript import words
from coder.transcript.block import MAX_LINES, Block, capped, headline
from coder.transcript.line import Line, Look
from coder.transcript.safe import first_line

_STYLES = {"error": "error", "warning": "warning", "note": "dim"}


class CandidateEnd(Block):
    """What came of a candidate, in one line; opened, why."""

    kind = "candidate"

    def __init__(self, event: events.CandidateFinished) -> None:
        super().__init__()
        self._event = event
        self.foldable = bool(event.reason)

    @property
    def source(self) -> str:
        return self._event.patch or self._event.reason or words.candidate(self._event)

    def draw(self, width: int, look: Look) -> list[Line]:
        event = self._event
        good = event.outcome == "passed"
        sign = look.glyphs.ok if good else look.glyphs.failed
        told = first_line(words.candidate(event))
        head = headline(
            [(f"{sign} ", "ok" if good else "error"), (told, "text")], words.duration(event.seconds), width
        )
        if not event.reason or not (self.open or look.whole):
            return [head]
        return [head, *capped(event.reason, width, (("    ", "text"),), "dim", MAX_LINES, look)]


class Review(Block):
    """A verdict and its findings; opened, what backs each."""

    kind = "review"
    foldable = True

    def __init__(self, event: events.Verdict) -> None:
        super().__init__()
        self._event = event

    @property
    def source(self) -> str:
        told = [words.verdict(self._event), self._event.summary]
        told += [f"{words.finding(found)}\n{found.proof}".rstrip() for found in self._event.findings]
        return "\n".join(filter(None, told))

    def draw(self, width: int, look: Look) -> list[Line]:
        event = self._event
        good = event.verdict == "APPROVE" or event.overruled
        sign = look.glyphs.ok if good else look.glyphs.failed
        ahead: Line = ((f"{sign} ", "ok" if good else "error"),)
        lines = capped(words.verdict(event), width, ahead, "strong", 20, look)
        if event.summary:
            lines += capped(event.summary, width, (("  ", "text"),), "text", 20, look)
        for found in event.findings:
            mark = look.glyphs.ok if found.backed else "-"
            style = _STYLES.get(found.severity, "text")
            lines += capped(words.finding(found), width, ((f"  {mark} ", style),), "text", 20, look)
            if found.proof and (self.open or look.whole):
                lines += capped(found.proof, width, (("      ", "text"),), "dim", MAX_LINES, look)
        return lines

    def guess(self, width: int) -> int:
        return 1 + len(self._event.findings)
