"""The window in words: lines that are only ever appended, for screen readers, dumb terminals and slow lines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

from coder import events
from coder.errors import ConfigError
from coder.events import Event
from coder.transcript.line import FLOWING, WORDS, Look, plain
from coder.transcript.model import TranscriptModel
from coder.transcript.safe import first_line, visible
from coder.transcript.tool import ToolCall
from coder.tui.figures import Figures
from coder.tui.link import Connect, Link, Opened
from coder.workflows.port import Answer, Mode, Port

HEARTBEAT_SECONDS = 30.0
CALM_SECONDS = 0.5
"""What is typed sooner after a question was on its way before it, and is no answer."""

LOOK = Look(glyphs=WORDS)

HELP = (
    "Write a task and press Return; while one runs, what you write steers it. A line that begins with ! is run in "
    "the sandbox. Commands: /stop, /mode plan|ask|edits|auto, /think LEVEL, /diff, /apply, /undo, /redo, /rewind N, "
    "/status, /help, /quit."
)


class Plain:
    """A session in words. Lines come in from `lines`, go out to `stream`."""

    def __init__(self, connect: Connect, *, stream: TextIO, task: str = "", mode: Mode = Mode.AUTO) -> None:
        self._stream = stream
        self._first_task = task
        self._mode = mode
        self._model = TranscriptModel()
        self._printed = 0
        self._figures = Figures()
        self._asked: list[events.ApprovalRequested] = []
        self._plan: events.PlanProposed | None = None
        self._refusing = False
        self._asked_at = 0.0
        self._said = time.monotonic()
        self._status = 0
        self._ended = False
        """No more lines will come."""
        self._over = asyncio.Event()
        self._link = Link(connect, sink=self._take, opened=self._opened, tell=self.say, failed=self._fail)

    async def run(self, lines: asyncio.Queue[str | None]) -> int:
        """Until the lines end or the user leaves; the exit status is that of the last task."""
        self.say(f"coder. {HELP}")
        self._link.open()
        if self._first_task:
            self._send(self._first_task)
        beating = asyncio.create_task(self._beat())
        reading = asyncio.create_task(self._read(lines))
        try:
            await self._over.wait()
        finally:
            beating.cancel()
            reading.cancel()
            await self._link.close()
        return self._status

    def say(self, text: str) -> None:
        """Print lines, safely."""
        self._said = time.monotonic()
        for line in visible(text).strip("\n").split("\n"):
            print(line, file=self._stream)
        self._stream.flush()

    def interrupt(self) -> None:
        """Ctrl+C: stop the task; without one, leave."""
        if self._link.busy:
            self.say("Stopping.")
            self._link.at_once(_stop)
        else:
            self._over.set()

    async def _read(self, lines: asyncio.Queue[str | None]) -> None:
        while (line := await lines.get()) is not None:
            self._understand(line.strip())
        self._ended = True

    def _understand(self, line: str) -> None:
        if line.startswith("/"):
            name, _, argument = line[1:].partition(" ")
            self._command(name, argument.strip())
        elif self._refusing:
            self._refusing = False
            self._answer(Answer.no(line))
        elif (self._asked or self._plan) and time.monotonic() - self._asked_at < CALM_SECONDS:
            self.say("That came too soon to be an answer. Please answer again.")
        elif self._asked or self._plan:
            self._choose(line)
        elif line.startswith("!"):
            self._link.order(lambda port: port.shell(line[1:].strip()))
        elif line:
            self._send(line)

    def _send(self, text: str) -> None:
        if self._link.busy:
            self.say("Queued: the model hears it at its next step.")
        self._link.order(lambda port: port.send(text))

    def _command(self, name: str, argument: str) -> None:
        orders: dict[str, Callable[[Port], object]] = {
            "diff": lambda port: port.diff(),
            "apply": lambda port: port.apply(anyway=argument == "anyway"),
            "undo": lambda port: port.undo(),
            "redo": lambda port: port.redo(),
        }
        if name == "quit":
            self._over.set()
        elif name == "stop":
            self._link.at_once(_stop)
        elif name in orders:
            self._link.order(orders[name])  # type: ignore[arg-type]  # each gives the awaitable of a sentence
        elif name in ("mode", "think", "rewind"):
            self._link.order(lambda port: self._set(port, name, argument))
        elif name == "status":
            self.say(self._status_words())
        else:
            self.say(HELP)

    async def _set(self, port: Port, name: str, argument: str) -> str:
        if name == "think":
            port.set_thinking(argument)
            return f"From the next task on it may think: {argument}."
        if name == "mode":
            if argument not in tuple(Mode):
                raise ConfigError(f"there is no mode {argument!r}", hint=f"The modes are {', '.join(Mode)}.")
            port.set_mode(Mode(argument))
            return f"Mode: {argument}."
        if not argument.isdigit():
            points = [f"{point.index}: {first_line(point.line, 70)}" for point in port.checkpoints()]
            return (
                "\n".join(["Say /rewind and a number:", *points])
                if points
                else "There is nothing to rewind to."
            )
        text = await port.rewind(int(argument))
        return f"Files and conversation are as they were before: {first_line(text)}"

    def _choose(self, line: str) -> None:
        if self._plan is not None:
            self._choose_plan(line)
            return
        request = self._asked[0]
        if line in ("1", "y"):
            self._answer(Answer.once())
        elif line in ("2", "a"):
            self._answer(Answer.session())
        elif line in ("3", "p") and request.prefix:
            self._answer(Answer.prefix(request.prefix))
        elif line in ("4", "n"):
            self._refusing = True
            self.say("Why not? The model is told. Return alone gives no reason.")
        else:
            self.say("Answer with the number of one of these.")
            self._ask(request)

    def _choose_plan(self, line: str) -> None:
        plan, self._plan = self._plan, None
        assert plan is not None
        text = "\n".join(plan.steps) or plan.text
        if line in ("1", "y"):
            self._link.order(lambda port: port.carry_out(text, Mode.AUTO))
        elif line in ("2", "a"):
            self._link.order(lambda port: port.carry_out(text, Mode.ASK))
        elif line not in ("4", "n", ""):
            self._send(line)

    def _answer(self, answer: Answer) -> None:
        port = self._link.port
        if self._asked and port is not None:
            port.answer(self._asked[0].id, answer)

    def _ask(self, request: events.ApprovalRequested) -> None:
        lines = [f"Question: {request.tool} wants: {request.what}"]
        lines += [f"In {request.cwd}."] * bool(request.cwd) + [f"It asks because {request.why}."] * bool(
            request.why
        )
        lines += [request.diff] * bool(request.diff)
        lines += [
            "1: yes, once.",
            f"2: yes, for this session{': ' + request.session if request.session else ''}.",
        ]
        lines += [f"3: yes, every command that begins with {request.prefix}."] * bool(request.prefix)
        self._asked_at = time.monotonic()
        self.say("\n".join([*lines, "4: no."]))

    def _opened(self, opened: Opened) -> None:
        if opened.past:
            self._model.fold(opened.past)
            self._print()
        else:
            opened.port.set_mode(self._mode)

    def _fail(self, sentence: str) -> None:
        self.say(sentence)
        self._status = 1
        self._over.set()

    def _take(self, event: Event) -> None:
        self._figures.take(event)
        self._model.take(event)
        self._print()
        match event:
            case events.ApprovalRequested():
                self._asked.append(event)
                if len(self._asked) == 1:
                    self._ask(event)
            case events.ApprovalResolved():
                self._asked = [request for request in self._asked if request.id != event.id]
                self._refusing = False
                if self._asked:
                    self._ask(self._asked[0])
            case events.PlanProposed():
                self._plan, self._asked_at = event, time.monotonic()
                self.say(
                    "A plan waits for your word. 1: carry it out. 2: carry it out, asking. 4: leave it. Or say what to change."
                )
            case events.RunFinished():
                self._status = event.exit
            case _:
                pass

    def _print(self) -> None:
        """The blocks that are new, and the tool calls that ended: a line once printed is never changed."""
        complete = self._model.complete
        ended = [
            complete[place]
            for place in sorted(self._model.changed)
            if place < self._printed and isinstance(complete[place], ToolCall)
        ]
        self._model.changed.clear()
        blocks = [block for block in ended if isinstance(block, ToolCall) and block.state != "running"]
        for block in [*blocks, *complete[self._printed :]]:
            self.say("\n".join(plain(line).rstrip() for line in block.lines(FLOWING, LOOK)))
        self._printed = len(complete)

    async def _beat(self) -> None:
        """Break long silences, and end when the lines have ended and nothing runs that could go on alone."""
        while True:
            await asyncio.sleep(1)
            if self._ended and (self._asked or not self._link.busy):
                self._over.set()
            if self._link.busy and not self._asked and time.monotonic() - self._said >= HEARTBEAT_SECONDS:
                self.say(f"Still working. {self._status_words()}")

    def _status_words(self) -> str:
        figures = self._figures
        turn, most = figures.turns
        used, limit = figures.context
        words = [f"Now: {figures.doing}." if figures.doing else ""]
        words.append(f"Step {turn} of {most}." if most else f"Step {turn}." if turn else "")
        words.append(f"Context {100 * used // limit} percent full." if used and limit else "")
        words.append(f"{figures.rate:.0f} tokens a second." if figures.rate else "")
        words.append(f"Sandbox {figures.sandbox}." if figures.sandbox else "")
        words.append(f"It does not enforce {', '.join(figures.weak)}." if figures.weak else "")
        seconds = int(figures.seconds(time.time()))
        return " ".join([*filter(None, words), f"{seconds} seconds."])


def run_plain(connect: Connect, *, task: str, mode: Mode) -> int:
    """A session in words on standard input and output, until it is left; returns the exit status."""

    async def main() -> int:
        import signal

        loop = asyncio.get_running_loop()
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        session = Plain(connect, stream=sys.stdout, task=task, mode=mode)
        threading.Thread(target=_feed, args=(loop, lines), daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, session.interrupt)
        return await session.run(lines)

    return asyncio.run(main())


def _feed(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[str | None]) -> None:
    """The lines of standard input, and None at their end. In a thread: a terminal gives them when it likes."""
    with contextlib.suppress(RuntimeError), open(os.dup(sys.stdin.fileno()), "rb") as source:
        for line in source:
            loop.call_soon_threadsafe(lines.put_nowait, line.decode("utf-8", "replace"))
        loop.call_soon_threadsafe(lines.put_nowait, None)


async def _stop(port: Port) -> str:
    texts = await port.interrupt()
    return "\n".join(["Stopped.", *(f"Not sent: {text}" for text in texts)])
