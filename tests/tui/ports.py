"""A port whose work is a list of events: what the window is tested against when the work itself is not the point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from coder import events
from coder.errors import UsageError
from coder.events import Event, Sink
from coder.tui.link import Connect, Opened
from coder.workflows.port import Answer, CheckpointInfo, Mode

CLOCK = 1_800_000_000.0


@dataclass
class ScriptedPort:
    """Keeps what it was asked for. A text sent when idle begins a task: the script's next list of events."""

    script: list[list[Event]] = field(default_factory=list)
    points: Sequence[CheckpointInfo] = ()
    paths: Sequence[str] = ()
    patch: str = ""
    mode: Mode = Mode.AUTO
    busy: bool = False
    asked: list[tuple[str, object]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    sink: Sink | None = None
    _seq: int = 0

    def listen(self, sink: Sink) -> None:
        self.sink = sink

    async def tell(self, *told: Event) -> None:
        """Let these events happen."""
        assert self.sink is not None
        for event in told:
            self._seq += 1
            if isinstance(event, events.RunStarted):
                self.busy = True
            if isinstance(event, events.RunFinished):
                self.busy = False
            stamped = msgspec.structs.replace(
                event, seq=self._seq, t=event.t or CLOCK + self._seq, run="run", span=event.span or "task"
            )
            pending = self.sink(stamped)
            if pending is not None:
                await pending

    async def send(self, text: str) -> None:
        self.asked.append(("send", text))
        if self.busy:
            self.waiting.append(text)
            await self.tell(events.Queued(steer=tuple(self.waiting)))
        elif self.script:
            await self.tell(*self.script.pop(0))

    def hold(self, text: str) -> None:
        self.asked.append(("hold", text))
        self.waiting.append(text)

    def take_back(self) -> str:
        return self.waiting.pop() if self.waiting else ""

    def queued(self) -> tuple[str, ...]:
        return tuple(self.waiting)

    async def interrupt(self) -> tuple[str, ...]:
        self.asked.append(("interrupt", None))
        texts, self.waiting = tuple(self.waiting), []
        if self.busy:
            await self.tell(
                events.RunFinished(
                    status="interrupted", reason="Interrupted", sentence="interrupted", exit=130
                )
            )
        return texts

    def answer(self, id: str, answer: Answer) -> None:  # noqa: A002 - the port's own word
        self.asked.append(("answer", (id, answer)))

    def set_mode(self, mode: Mode) -> None:
        self.mode = mode
        self.asked.append(("mode", mode))

    def set_thinking(self, level: str) -> None:
        self.asked.append(("thinking", level))

    async def carry_out(self, plan: str, mode: Mode = Mode.AUTO) -> None:
        self.asked.append(("carry_out", (plan, mode)))

    def checkpoints(self) -> Sequence[CheckpointInfo]:
        return self.points

    async def rewind(self, index: int) -> str:
        self.asked.append(("rewind", index))
        return next(point.line for point in self.points if point.index == index)

    async def undo(self) -> str:
        raise UsageError("nothing was changed", hint="There is nothing to undo.")

    async def redo(self) -> str:
        self.asked.append(("redo", None))
        return "the change is back"

    async def shell(self, command: str) -> None:
        self.asked.append(("shell", command))

    async def files(self) -> Sequence[str]:
        return self.paths

    async def diff(self) -> str:
        return self.patch

    async def apply(self, *, anyway: bool = False) -> str:
        self.asked.append(("apply", anyway))
        return "the change was applied"

    async def resolve(self, finding: events.Finding, *, accepted: bool) -> None:
        self.asked.append(("resolve", (finding.id, accepted)))
        await self.tell(events.FindingResolved(finding=finding.id, accepted=accepted))

    async def rename(self, title: str) -> None:
        self.asked.append(("rename", title))

    async def close(self) -> None:
        self.asked.append(("close", None))


def connecting(port: ScriptedPort, folder: Path, past: Sequence[Event] = ()) -> Connect:
    async def connect(session: str) -> Opened:
        port.asked.append(("open", session))
        return Opened(port=port, folder=folder, past=past)

    return connect
