"""The fold: events in, blocks out. A live stream and its journal give the same blocks, which draw the same lines.

What streams stands at the end, behind all that is complete: an event that comes while the model still writes is
journalled before the answer, so it stands before it here too.
"""

from __future__ import annotations

from collections.abc import Iterable

from coder import events
from coder.events import Event
from coder.transcript import notices, words
from coder.transcript.block import Answer, Block, Said, Thought, UserText
from coder.transcript.line import Line, Look
from coder.transcript.report import Ending, Gate, Plan, Proposal, Suite
from coder.transcript.review import CandidateEnd, Review
from coder.transcript.tool import ToolCall


class TranscriptModel:
    """`complete` blocks only change in place, and `changed` says which did since somebody last took note; `blocks`
    has what still streams behind them. `cuts` counts the times that complete blocks were taken away.
    `activity` is what goes on now, in words."""

    def __init__(self) -> None:
        self.complete: list[Block] = []
        self.changed: set[int] = set()
        self.cuts = 0
        self.activity = ""
        self.turn = 0
        self.budget: events.BudgetSpent | None = None
        self._streaming: dict[str, tuple[Thought, Answer]] = {}
        self._tools: dict[tuple[str, str], ToolCall] = {}
        self._plans: dict[str, Plan] = {}
        self._asked: dict[str, events.ApprovalRequested] = {}
        self._messages: list[int] = []
        """Where the user's messages stand that one can go back to."""
        self._begun: int | None = None
        """Where the present task began, as long as its message has not come."""
        self._span = ""

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

    def lines(self, width: int, look: Look, *, last: int | None = None) -> list[Line]:
        """All lines, for faces that print; or the last blocks that have `last` of them, since drawing takes time.
        A blank one stands before what begins something."""
        blocks = self.blocks
        parts: list[list[Line]] = []
        count = 0
        for place in range(len(blocks) - 1, -1, -1):
            drawn = blocks[place].lines(width, look)
            gap = drawn and place > 0 and apart(blocks[place - 1].kind, blocks[place].kind)
            parts.append([(), *drawn] if gap else drawn)
            count += len(parts[-1])
            if last is not None and count >= last:
                break
        return [line for part in reversed(parts) for line in part]

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
                self._add(tool, event)
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
            case events.RunStarted():
                self._begun = len(self.complete)
                self._say(event)
            case events.UserMessage():
                self._heard(event)
            case events.PlanUpdated():
                self._plan(event)
            case events.SuiteRan():
                self._add(Suite(event), event)
            case events.GateFinished():
                self._add(Gate(event), event)
            case events.CandidateFinished():
                self._add(CandidateEnd(event), event)
            case events.Verdict():
                self._add(Review(event), event)
            case events.ApprovalRequested():
                self._asked[event.id] = event
            case events.ApprovalResolved():
                self._resolved(event)
            case events.PlanProposed():
                self._add(Proposal(event), event)
            case events.Rewound():
                self._rewind(event)
            case events.RunFinished():
                self._finish()
                self._add(Ending(event), event)
            case _:
                self._say(event)

    def _say(self, event: Event) -> None:
        """Events that are only told."""
        if isinstance(event, events.Retried):
            self._streaming.pop(event.span, None)
        if (said := notices.notice(event)) is not None:
            self._add(said, event)

    def _answered(self, event: events.AssistantMessage) -> None:
        """The whole answer: what streamed becomes complete, whatever came of it on the way."""
        thought, answer = self._pair(event.span)
        del self._streaming[event.span]
        if event.thinking.strip() or event.spent.thinking_tokens:
            thought.complete(event.thinking, f"{words.thinking(event)} tokens")
            self._add(thought, event)
        if event.text.strip():
            answer.complete(event.text, words.counts(event))
            self._add(answer, event)
        if event.finish == "length":
            self._add(notices.warning("the answer was cut at its length limit"), event)

    def _finish_tool(self, event: events.ToolFinished) -> None:
        tool = self._tools.pop((event.span, event.call), None)
        if tool is None:
            tool = ToolCall(event.name, {})
            self._add(tool, event)
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
        self._add(plan, event)

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

    def add(self, block: Block) -> None:
        """Put in a block that no event told of: something that the user asked to see."""
        block.place = len(self.complete)
        self.complete.append(block)

    def _add(self, block: Block, event: Event) -> None:
        """A block of `event`. Where several parts of a run work side by side, a line says whose blocks follow."""
        span = MAIN if event.span in UNNAMED else event.span
        if span != self._span and (self._span or span != MAIN):
            self.add(Said("span", span, style="title"))
        self._span = span
        self.add(block)

    def _heard(self, event: events.UserMessage) -> None:
        if not event.steer:
            self._messages.append(len(self.complete) if self._begun is None else self._begun)
            self._begun = None
        self._add(UserText(event.typed or event.text), event)

    def _resolved(self, event: events.ApprovalResolved) -> None:
        asked = self._asked.pop(event.id, None)
        self._add(notices.approval(asked, event), event)

    def _rewind(self, event: events.Rewound) -> None:
        """What came from that message on is undone, so it goes. It stays in the journal."""
        if 0 <= event.index < len(self._messages):
            place = self._messages[event.index]
            del self._messages[event.index :], self.complete[place:]
            self._begun = None
            self._streaming.clear()
            self._tools = {key: tool for key, tool in self._tools.items() if tool.place < place}
            self._plans = {span: plan for span, plan in self._plans.items() if plan.place < place}
            self.changed = {changed for changed in self.changed if changed < place}
            self.cuts += 1
        self._add(notices.rewound(event), event)

    def _note_change(self, block: Block) -> None:
        self.changed.add(block.place)


MAIN = "task"
UNNAMED = ("", MAIN, "shell")
"""The parts of a run that need no name: what is asked for, and the user's own commands."""


def apart(before: str, kind: str) -> bool:
    """Whether a blank line stands between two kinds of block."""
    return bool(before) and (kind in _SPACED or before in _SPACED or (kind != before and kind in _GROUPS))


_SPACED = {"user", "text", "ending", "title", "span", "diff", "proposal", "review"}
_GROUPS = {"plan", "gate", "candidate"}
