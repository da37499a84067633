"""The fold: events in, blocks out. A live stream and its journal give the same blocks, which draw the same lines.

What streams stands at the end, behind all that is complete: an event that comes while the model still writes is
journalled before the answer, so it stands before it here too.
"""

from __future__ import annotations

from collections.abc import Iterable

from coder import events
from coder.events import Event
from coder.transcript import words
from coder.transcript.block import Answer, Block, Said, Thought, UserText
from coder.transcript.line import Line, Look
from coder.transcript.report import Ending, Gate, Plan, Suite
from coder.transcript.tool import ToolCall


class TranscriptModel:
    """`complete` blocks only change in place, and `changed` says which did since somebody last took note; `blocks`
    has what still streams behind them. `activity` is what goes on now, in words."""

    def __init__(self) -> None:
        self.complete: list[Block] = []
        self.changed: set[int] = set()
        self.activity = ""
        self.turn = 0
        self.budget: events.BudgetSpent | None = None
        self._streaming: dict[str, tuple[Thought, Answer]] = {}
        self._tools: dict[tuple[str, str], ToolCall] = {}
        self._plans: dict[str, Plan] = {}
        self._places: dict[int, int] = {}

    @property
    def blocks(self) -> list[Block]:
        return [*self.complete, *self.streaming]

    @property
    def streaming(self) -> list[Block]:
        """Blocks of answers that still come, in the order in which they began."""
        return [block for pair in self._streaming.values() for block in pair if block.source]

    @property
    def busy(self) -> bool:
        """Whether something on the screen may change by itself."""
        return bool(self._streaming or self._tools)

    def fold(self, stream: Iterable[Event]) -> TranscriptModel:
        for event in stream:
            self.take(event)
        return self

    def lines(self, width: int, look: Look) -> list[Line]:
        """All lines, for faces that print. A blank one stands before what begins something."""
        lines: list[Line] = []
        before = ""
        for block in self.blocks:
            drawn = block.lines(width, look)
            if drawn and before and apart(before, block.kind):
                lines.append(())
            lines += drawn
            before = block.kind if drawn else before
        return lines

    def take(self, event: Event) -> None:
        """Fold one event in."""
        match event:
            case events.ThinkingDelta():
                self._pair(event.span)[0].append(event.text)
            case events.TextDelta():
                self._pair(event.span)[1].append(event.text)
            case events.ToolOutput():
                self._output(event)
            case events.Activity():
                self.activity = event.text
            case events.AssistantMessage():
                self._answered(event)
            case events.ToolStarted():
                tool = self._tools[event.span, event.call] = ToolCall(event.name, event.arguments)
                self._add(tool)
            case events.ToolFinished():
                self._finish_tool(event)
            case _:
                self._take_rest(event)

    def _take_rest(self, event: Event) -> None:
        match event:
            case events.TurnStarted():
                self.turn = event.turn
                self._streaming.pop(event.span, None)
            case events.BudgetSpent():
                self.budget = event
            case events.UserMessage():
                self._add(UserText(event.text))
            case events.PlanUpdated():
                self._plan(event)
            case events.SuiteRan():
                self._add(Suite(event))
            case events.GateFinished():
                self._add(Gate(event))
            case events.RunFinished():
                self._finish()
                self._add(Ending(event))
            case _:
                self._say(event)

    def _say(self, event: Event) -> None:
        """Events that are only told."""
        match event:
            case events.RunStarted():
                self._add(
                    Said("title", f"{event.workflow}: {event.task}", style="title", right=event.repository)
                )
            case events.Prepared(sandbox=""):
                self._add(Said("note", f"model {words.described_model(event)}", sign="note"))
            case events.Prepared():
                self._add(Said("note", f"sandbox {event.sandbox}: {event.why}", sign="note"))
            case events.Masked():
                full = f" ({event.tokens} tokens of {event.limit})" if event.limit else ""
                told = f"{words.counted(event.messages, 'old result')} left out to make room{full}"
                self._add(Said("note", told, sign="note"))
            case events.Checkpoint():
                changed = ", ".join(event.paths[:5]) + ", …" * (len(event.paths) > 5)
                self._add(Said("checkpoint", changed or "no file", sign="checkpoint", right=event.tree[:7]))
            case events.Note():
                self._add(Said("note", event.text, sign="note"))
            case events.Warning():
                self._add(Said("warning", event.text, style="warning", sign="warning"))
            case events.Retried():
                self._streaming.pop(event.span, None)
                self._add(Said("warning", f"again: {event.reason}", style="warning", sign="warning"))
            case _:
                pass

    def _answered(self, event: events.AssistantMessage) -> None:
        """The whole answer: what streamed becomes complete, whatever came of it on the way."""
        thought, answer = self._pair(event.span)
        del self._streaming[event.span]
        if event.thinking.strip() or event.spent.thinking_tokens:
            thought.complete(event.thinking, f"{words.thinking(event)} tokens")
            self._add(thought)
        if event.text.strip():
            answer.complete(event.text, words.counts(event))
            self._add(answer)
        if event.finish == "length":
            self._add(
                Said("warning", "the answer was cut at its length limit", style="warning", sign="warning")
            )

    def _finish_tool(self, event: events.ToolFinished) -> None:
        tool = self._tools.pop((event.span, event.call), None)
        if tool is None:
            tool = ToolCall(event.name, {})
            self._add(tool)
        tool.finish(event)
        self._note_change(tool)

    def _output(self, event: events.ToolOutput) -> None:
        if (tool := self._tools.get((event.span, event.call))) is not None:
            tool.append(event.text)
            self._note_change(tool)

    def _plan(self, event: events.PlanUpdated) -> None:
        if (former := self._plans.get(event.span)) is not None:
            former.replace()
            self._note_change(former)
        plan = self._plans[event.span] = Plan(event.steps)
        self._add(plan)

    def _finish(self) -> None:
        """Nothing goes on after the end. What was not complete is not in the journal, so it goes."""
        self._streaming.clear()
        for tool in self._tools.values():
            tool.stop()
            self._note_change(tool)
        self._tools.clear()
        self.activity = ""

    def _pair(self, span: str) -> tuple[Thought, Answer]:
        if span not in self._streaming:
            self._streaming[span] = Thought(), Answer()
        return self._streaming[span]

    def _add(self, block: Block) -> None:
        self._places[id(block)] = len(self.complete)
        self.complete.append(block)

    def _note_change(self, block: Block) -> None:
        self.changed.add(self._places[id(block)])


def apart(before: str, kind: str) -> bool:
    """Whether a blank line stands between two kinds of block."""
    return kind in _SPACED or before in _SPACED or (kind != before and kind in _GROUPS)


_SPACED = {"user", "text", "ending", "title"}
_GROUPS = {"plan", "gate"}
