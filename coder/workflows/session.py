"""A session: many tasks in one conversation, over one copy of the repository and one sandbox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import msgspec

from coder import events
from coder.agent.approval import Answer, Mode
from coder.agent.inbox import Inbox, without_forgery
from coder.agent.loop import ENDED, Attended
from coder.agent.memory import SHELL, SPAN, Memory
from coder.agent.permission import Permission
from coder.errors import UsageError
from coder.events import Event, RunFinished, Sink, Stream
from coder.journal import FILE, Journal, load
from coder.sessions import refuse_in_use
from coder.workflows.beside import CLOSED, loose_ends, run_command
from coder.workflows.handover import hand_over, names
from coder.workflows.history import History
from coder.workflows.house import House
from coder.workflows.mentions import mentioned, with_attachments
from coder.workflows.port import CheckpointInfo
from coder.workflows.record import Recorder
from coder.workflows.request import Request
from coder.workflows.run import Run, forget_cancellation
from coder.workflows.session_words import CARRY_OUT, PLANNING, mend
from sandbox.errors import FileRefused, SandboxError
from sandbox.hostfiles import read_bytes
from sandbox.repository import list_files
from tools.plan import parse_steps, render

_ATTACHED = 64 * 1024


class Session:
    """Implements Port. `open` it before anything else; it goes on where the journal in `request.session` ends.

    The first task has the workflow of `request`, all others are runs; its task, apply and branch are not looked at.
    """

    def __init__(self, request: Request, *, mode: Mode | None = None) -> None:
        self._request = request
        self._workflow = request.workflow
        self._wanted_mode = mode
        self._listeners: list[Sink] = []
        self._inbox = Inbox(self._queue_changed)
        self._memory = Memory()
        self._task: asyncio.Task[None] | None = None
        self._shells: set[asyncio.Task[None]] = set()
        self._telling: set[asyncio.Task[None]] = set()
        self._taken = ""
        """What goes on that no task may run beside."""
        self._news: list[str] = []
        """For the model, with the next task."""
        self._accepted = ""
        """The snapshot that passed every gate."""

    async def open(self) -> None:
        """Raises UsageError when the journal is damaged or open elsewhere, OSError when it cannot be written."""
        request = self._request
        refuse_in_use(request.state)
        self._journal = Journal(request.session / FILE)
        try:
            self._journal.lock()
            self.past: list[Event] = list(load(self._journal.path))
            """The journal as it stands when `open` returns."""
        except UsageError:
            self._journal.close()
            raise
        for event in self.past:
            self._memory.advance(event)
        record = Recorder(request.session, request.config.test)
        sinks: tuple[Sink, ...] = (self._memory.advance, self._journal, record, *self._listeners)
        self._stream = Stream(request.run, *sinks, seq=self._memory.seq)
        self._emit = self._stream.span(SPAN)
        self._house = House(request, self._emit)
        self._history = History(request.session, self._house, self._memory, self._emit)
        self._permission = Permission(self._emit, self._first_mode())
        if self.past:
            self._stream.add(self.past.append)
            async for event in loose_ends(self._memory, CLOSED):
                await self._emit(event)
            if self._memory.running:
                await self._emit(_broken_off(f"{CLOSED} while it worked"))
            await self._history.bring_back()
            self._stream.remove(self.past.append)

    @property
    def mode(self) -> Mode:
        return self._permission.mode

    @property
    def title(self) -> str:
        """The title, or the first line of the first task."""
        first = self._memory.said[0].text if self._memory.said else ""
        return self._memory.title or next(iter(first.splitlines()), "")

    @property
    def busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def listen(self, sink: Sink) -> None:
        self._listeners.append(sink)
        if hasattr(self, "_stream"):
            self._stream.add(sink)

    # Tasks

    async def send(self, text: str) -> None:
        if not text.strip():
            return
        if self.busy:
            self._inbox.steer(text)
        elif self._taken:
            self._inbox.hold(text)
        else:
            self._start(text)

    def hold(self, text: str) -> None:
        self._inbox.hold(text)
        self._next()

    def take_back(self) -> str:
        return self._inbox.take_back()

    def queued(self) -> tuple[str, ...]:
        return self._inbox.texts()

    async def interrupt(self) -> tuple[str, ...]:
        texts = self._inbox.clear()
        running = [task for task in (self._task, *self._shells) if task is not None and not task.done()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        return texts

    def _start(self, text: str) -> None:
        self._task = asyncio.create_task(self._work(text))

    def _next(self) -> None:
        """Begin what waits, when nothing else goes on."""
        if not self.busy and not self._taken and (text := self._inbox.next_task()):
            self._start(text)

    async def _work(self, text: str) -> None:
        while text:
            plan = self._memory.plan
            try:
                finished = await self._outcome(text)
            except asyncio.CancelledError:
                forget_cancellation()
                finished = _broken_off("interrupted")
            except Exception as error:  # noqa: BLE001 - the worker's boundary: nobody else waits for this task
                finished = RunFinished(
                    status="unsolved",
                    reason=type(error).__name__,
                    sentence=f"the task failed: {type(error).__name__}: {error}",
                    exit=1,
                )
            ending = asyncio.create_task(self._finish(finished, plan))
            while not ending.done():
                try:
                    await asyncio.shield(ending)
                except asyncio.CancelledError:
                    forget_cancellation()
            text = self._inbox.next_task()

    async def _outcome(self, text: str) -> RunFinished:
        tree = await self._history.now()
        extra = await self._extra(text)
        workflow, self._workflow = self._workflow, "run"
        request = replace(
            self._request,
            config=self._house.config,
            task=text,
            workflow=workflow,
            must_change=workflow == "fix",
            apply=False,
            approve=None,
            branch="",
        )
        attended = Attended(
            inbox=self._inbox,
            permission=self._permission,
            past=self._memory.transcript,
            keep=self._history.keep,
            extra=extra,
            typed=text,
            tree=tree,
        )
        return await Run(request, self._house, self._emit, attended=attended).outcome()

    async def _finish(self, finished: RunFinished, plan: tuple[tuple[str, bool], ...]) -> None:
        async for event in loose_ends(self._memory, ENDED):
            await self._emit(event)
        try:
            tree = await self._history.note(self._emit)
        except (SandboxError, OSError) as error:
            tree = ""
            await self._emit(events.Warning(text=f"no snapshot could be taken: {error}"))
        if finished.status == "solved":
            self._accepted = tree
        await self._emit(msgspec.structs.replace(finished, run=self._stream.run))
        if self._permission.planning() and finished.status in ("planned", "answered"):
            steps = () if self._memory.plan == plan else tuple(step for step, _ in self._memory.plan)
            await self._emit(events.PlanProposed(text=finished.summary, steps=steps))

    async def _extra(self, text: str) -> str:
        """What goes to the model after the user's words: mentioned files, news, the mode."""
        attached = ""
        if "@" in text:
            paths = mentioned(text, set(await self.files()))
            attached = await asyncio.to_thread(with_attachments, "", paths, await self._reader())
        news, self._news = self._news, []
        planning = [PLANNING] if self._permission.planning() else []
        parts = [attached.strip("\n"), *news, *planning]
        return "".join(f"\n\n{part}" for part in parts if part)

    # Modes, answers, plans

    def answer(self, id: str, answer: Answer) -> None:  # noqa: A002
        self._permission.answer(id, answer)

    def set_mode(self, mode: Mode) -> None:
        self._permission.set_mode(mode)
        self._tell(events.ModeChanged(mode=str(mode)))

    def set_thinking(self, level: str) -> None:
        thinking = self._house.think(level)
        self._tell(events.ThinkingChanged(level=str(thinking.mode)))

    async def carry_out(self, plan: str, mode: Mode = Mode.AUTO) -> None:
        self._refuse_beside("a plan")
        steps = parse_steps(plan.splitlines())
        if not steps:
            raise UsageError("the plan is empty")
        (await self._house.context()).plan = steps
        self.set_mode(mode)
        await self._emit(events.PlanUpdated(steps=tuple((step.text, step.done) for step in steps)))
        self._start(CARRY_OUT + render(steps))

    # Files

    def checkpoints(self) -> Sequence[CheckpointInfo]:
        return [
            CheckpointInfo(index, said.time, next(iter(said.text.splitlines()), ""), said.paths)
            for index, said in enumerate(self._memory.said)
        ]

    async def rewind(self, index: int) -> str:
        async with self._alone("rewinding"):
            if not 0 <= index < len(self._memory.said):
                raise UsageError(f"there is no message {index} to go back to")
            point = self._memory.said[index]
            tree, paths = await self._history.go_to(point.tree)
            await self._forget_edits()
            self._news.clear()
            await self._emit(
                events.Rewound(index=index, messages=point.messages, tree=tree, text=point.text, paths=paths)
            )
            return point.text

    async def undo(self) -> str:
        return await self._step(again=False)

    async def redo(self) -> str:
        return await self._step(again=True)

    async def _step(self, *, again: bool) -> str:
        verb = "redo" if again else "undo"
        async with self._alone(verb):
            steps = self._memory.redo if again else self._memory.undo
            if not steps:
                return f"There is nothing to {verb}."
            tree, paths = await self._history.go_to(steps[-1].after if again else steps[-1].before)
            await self._forget_edits()
            await self._emit(events.Undone(tree=tree, paths=paths, again=again))
            did = "made again" if again else "taken back"
            which = names(paths)
            self._news.append(f"[The user has {'re' if again else 'un'}done changes; now different: {which}]")
            return f"The changes were {did}: {which}"

    async def files(self) -> Sequence[str]:
        if self._history.ready:
            workspace = await (await self._house.place()).workspace()
            return sorted(await asyncio.to_thread(workspace.tree_files, await self._history.now()))
        repository = await self._house.repository()
        return (await asyncio.to_thread(list_files, repository)).files

    async def diff(self) -> str:
        if not self._history.ready:
            return ""
        workspace = await (await self._house.place()).workspace()
        tree = await self._history.now()
        patch = await asyncio.to_thread(workspace.patch, self._house.since or workspace.base, tree)
        return patch.decode("utf-8", "replace")

    async def shell(self, command: str) -> None:
        running = asyncio.current_task()
        assert running is not None
        self._shells.add(running)
        try:
            emit = self._stream.span(SHELL)
            told = await run_command(command, await self._house.context(), emit)
            self._news.append(without_forgery(told))
            if not self.busy:  # a task's own snapshots would see the change too
                await self._history.note(emit)
        finally:
            self._shells.discard(running)

    async def apply(self, *, anyway: bool = False) -> str:
        async with self._alone("applying"):
            sentence, self._accepted = await hand_over(
                self._house, self._request, self._emit, accepted=self._accepted, anyway=anyway
            )
            return sentence

    async def resolve(self, finding: events.Finding, *, accepted: bool) -> None:
        await self._emit(events.FindingResolved(finding=finding.id, accepted=accepted))
        if accepted:
            await self.send(mend(finding))

    async def rename(self, title: str) -> None:
        await self._emit(events.Renamed(title=title.strip()))

    async def close(self) -> None:
        await self.interrupt()
        await asyncio.gather(*self._telling, return_exceptions=True)
        await self._house.close()
        self._journal.close()

    # Parts

    def _first_mode(self) -> Mode:
        """Without a sandbox, and without a word from the user, everything asks."""
        mode = self._wanted_mode or self._memory.mode
        unconfined = self._request.config.sandbox == "none" and self._wanted_mode is None
        return Mode.ASK if unconfined and mode is Mode.AUTO else mode

    def _refuse_beside(self, what: str) -> None:
        if self.busy or self._taken:
            busy = self._taken or "the task"
            raise UsageError(f"{what} has to wait: {busy} is not done", hint="Interrupt it first.")

    @contextlib.asynccontextmanager
    async def _alone(self, what: str) -> AsyncIterator[None]:
        """No task runs inside; one that is sent meanwhile begins afterwards."""
        self._refuse_beside(what)
        self._taken = what
        try:
            yield
        finally:
            self._taken = ""
            self._next()

    async def _forget_edits(self) -> None:
        """The files are others now: nothing of the editor's memory fits them."""
        if self._history.ready:
            context = await self._house.context()
            context.undo.clear()
            context.edits_since_check = 0

    async def _reader(self) -> Callable[[str], bytes | None]:
        """Reads a file of the copy, or of the repository while there is none."""
        repository = await self._house.repository()
        root = repository.root
        if self._history.ready:
            root = (await (await self._house.place()).workspace()).root

        def read(path: str) -> bytes | None:
            try:
                return read_bytes(root, path, _ATTACHED)
            except (OSError, FileRefused):
                return None

        return read

    def _queue_changed(self, inbox: Inbox) -> None:
        self._tell(events.Queued(steer=inbox.texts("steer"), held=inbox.texts("hold")))

    def _tell(self, event: Event) -> None:
        """Emit from where nothing can be awaited."""
        telling = asyncio.create_task(self._told(event))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _told(self, event: Event) -> None:
        await self._emit(event)


def _broken_off(sentence: str) -> RunFinished:
    return RunFinished(status="interrupted", reason="Interrupted", sentence=sentence, exit=130)
