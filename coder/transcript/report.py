"""Blocks that report: tests, gates, the plan, and how the run ended."""

from __future__ import annotations

from functools import cached_property

from coder import events
from coder.transcript import diff, words
from coder.transcript.block import MAX_LINES, Block, capped, cut_rows, headline
from coder.transcript.line import Line, Look, wrap
from coder.transcript.markdown import markdown
from coder.transcript.safe import first_line, visible

PATCH_LINES = 40
"""Rows of the final patch that are seen while the ending is folded."""
MAX_SUMMARY = 8_000


class Suite(Block):
    """A run of the tests; opened, the names of those that failed."""

    kind = "tests"

    def __init__(self, event: events.SuiteRan) -> None:
        super().__init__()
        self._event = event
        self.foldable = bool(event.failing)

    @property
    def source(self) -> str:
        return "\n".join([self._told, *self._event.failing])

    @property
    def _told(self) -> str:
        return f"tests {self._event.stage}: {self._event.passed} passed, {self._event.failed} failed"

    def draw(self, width: int, look: Look) -> list[Line]:
        good = self._event.failed == 0 and self._event.passed > 0
        sign = look.glyphs.ok if good else look.glyphs.failed
        head = headline(
            [(f"{sign} ", "ok" if good else "error"), (first_line(self._told), "text")],
            words.duration(self._event.seconds),
            width,
        )
        if not (self.open or look.whole) or not self._event.failing:
            return [head]
        return [
            head,
            *capped("\n".join(self._event.failing), width, (("    ", "text"),), "error", MAX_LINES, look),
        ]


class Gate(Block):
    """One gate, passed or not, and why."""

    kind = "gate"

    def __init__(self, event: events.GateFinished) -> None:
        super().__init__()
        self._event = event

    @property
    def source(self) -> str:
        event = self._event
        said = f"{event.name}: {event.detail}" if event.detail else event.name
        return said if event.passed or not event.output else f"{said}\n{event.output}"

    def draw(self, width: int, look: Look) -> list[Line]:
        sign, style = (look.glyphs.ok, "ok") if self._event.passed else (look.glyphs.failed, "error")
        if not self._event.applicable:
            sign, style = "-", "dim"
        return capped(self.source, width, ((f"{sign} ", style), ("gate ", "dim")), "text", 20, look)


class Plan(Block):
    """The model's plan with its ticks. A plan that another replaced is one line."""

    kind = "plan"
    foldable = True

    def __init__(self, steps: tuple[tuple[str, bool], ...]) -> None:
        super().__init__()
        self._steps = steps
        self._replaced = False

    @property
    def source(self) -> str:
        return "\n".join(f"[{'x' if done else ' '}] {text}" for text, done in self._steps)

    def replace(self) -> None:
        self._replaced = True
        self.touch()

    def draw(self, width: int, look: Look) -> list[Line]:
        done = sum(done for _, done in self._steps)
        head = headline([("Plan", "tool"), (f" {done} of {len(self._steps)} done", "dim")], "", width)
        if self._replaced and not (self.open or look.whole):
            return [head]
        lines = [head]
        for text, ticked in self._steps:
            sign = look.glyphs.done if ticked else look.glyphs.todo
            first: Line = ((f"  {sign} ", "ok" if ticked else "dim"),)
            lines += capped(text, width, first, "plan.done" if ticked else "text", 20, look)
        return lines

    def guess(self, width: int) -> int:
        return 1 if self._replaced else 1 + len(self._steps)


class Proposal(Block):
    """A plan that waits for the user's word."""

    kind = "proposal"

    def __init__(self, event: events.PlanProposed) -> None:
        super().__init__()
        self._event = event

    @property
    def source(self) -> str:
        return self._event.text or "\n".join(self._event.steps)

    def draw(self, width: int, look: Look) -> list[Line]:
        head: Line = ((f"{look.glyphs.verdict} ", "tool"), ("Proposed plan", "strong"))
        if not self._event.text.strip():
            steps = "\n".join(f"{number}. {step}" for number, step in enumerate(self._event.steps, 1))
            return [head, *capped(steps, width, (("  ", "text"),), "text", MAX_LINES, look)]
        text = visible(self._event.text[:MAX_SUMMARY])
        body = cut_rows(markdown(text, width - 2, look), MAX_LINES, look, len(self._event.text) - MAX_SUMMARY)
        return [head, *((("  ", "text"), *line) for line in body)]

    def guess(self, width: int) -> int:
        return 1 + max(len(self._event.steps), self._event.text.count("\n"))


class Patch(Block):
    """A diff that the user asked to see."""

    kind = "diff"
    foldable = True

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open = True
        self._text = text

    @property
    def source(self) -> str:
        return self._text

    @cached_property
    def _rows(self) -> list[diff.Row]:
        return diff.parse(self._text)

    def draw(self, width: int, look: Look) -> list[Line]:
        added, removed = diff.counts(self._rows)
        files = sum(row.sign == "f" for row in self._rows)
        sign = look.glyphs.unfolded if self.open else look.glyphs.folded
        figures = f"  {words.counted(files, 'file')}  +{added} -{removed}"
        head = headline(
            [(f"{sign} " if sign else "", "dim"), ("Changes", "tool"), (figures, "dim")], "", width
        )
        if not self.open and not look.whole:
            return [head]
        return [head, *cut_rows(diff.draw(self._rows, width, look), MAX_LINES, look)]

    def guess(self, width: int) -> int:
        return 1 + self._text.count("\n")


class Ending(Block):
    """How the run ended: the sentence, the evidence, the costs, the patch."""

    kind = "ending"
    foldable = True

    def __init__(self, event: events.RunFinished) -> None:
        super().__init__()
        self._event = event

    @property
    def source(self) -> str:
        return self._event.patch or "\n".join(filter(None, [self._event.sentence, self._event.summary]))

    @cached_property
    def _rows(self) -> list[diff.Row]:
        return diff.parse(self._event.patch)

    def draw(self, width: int, look: Look) -> list[Line]:
        event = self._event
        good = event.status in ("solved", "answered", "planned")
        sign = (
            look.glyphs.ok
            if good
            else look.glyphs.stopped
            if event.status == "interrupted"
            else look.glyphs.failed
        )
        style = "ok" if good else "error"
        outcome = words.OUTCOME.get(event.status, event.status)
        head: Line = ((f"{sign} ", style),)
        lines = capped(f"{outcome}: {event.sentence.rstrip('.')}.", width, head, style, 20, look)
        if event.summary:
            lines += cut_rows(markdown(visible(event.summary[:MAX_SUMMARY]), width - 2, look), 200, look)
        for told in [*words.evidence(event), *words.costs(event), *self._time()]:
            lines += wrap([(first_line(told), "dim")], width, (("  ", "text"),), (("    ", "text"),))
        if event.patch:
            room = MAX_LINES if self.open or look.whole else PATCH_LINES
            lines += [(), *cut_rows(diff.draw(self._rows, width, look), room, look)]
        return lines

    def _time(self) -> list[str]:
        return [f"time: {self._event.timings['seconds']:.1f} s"] if "seconds" in self._event.timings else []

    def guess(self, width: int) -> int:
        return 6 + min(PATCH_LINES, self._event.patch.count("\n"))
