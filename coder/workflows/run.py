"""A run from its request to its RunFinished: whatever happens in between, there is exactly one ending."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

import msgspec

from coder import events
from coder.agent.limits import Limits
from coder.agent.loop import Ending
from coder.config import ENGINEER
from coder.errors import CoderError, Interrupted, LimitReached, ModelError, NoSandbox, UsageError
from coder.events import RunFinished, Sink, Stream
from coder.journal import FILE, Journal
from coder.model.client import ModelClient
from coder.model.roles import Levels, connect_role
from coder.workflows.deliver import deliver, keep
from coder.workflows.fix import Fix
from coder.workflows.judge import Judge
from coder.workflows.leftovers import sweep
from coder.workflows.request import Request
from coder.workflows.site import Site
from sandbox.errors import FileRefused, SandboxError
from sandbox.hostfiles import read_bytes
from sandbox.network import Attempt
from sandbox.repository import Repository, find_repository, head_commit

SALVAGE_SECONDS = 20.0
"""How long the best attempt of a run that ended badly may take to be saved."""

ADVICE_FILE = "AGENTS.md"
MAX_ADVICE = 8 * 1024
"""Bytes; a longer file of advice is left out, for its cost in every prompt."""

_STATUS = {
    LimitReached: "limit",
    ModelError: "model",
    NoSandbox: "sandbox",
    UsageError: "usage",
    Interrupted: "interrupted",
}


async def execute(request: Request, *sinks: Sink) -> RunFinished:
    """Do what `request` asks. Never raises for what can go wrong in a run: the ending says it."""
    stream = Stream(request.run, *sinks)
    try:
        journal = Journal(request.session / FILE)
    except OSError as error:
        failure = UsageError(
            f"the session directory {request.session} cannot be written: {error.strerror}",
            hint="Free some disk space, or name another directory with --session.",
        )
        return await _finish(stream, _failed(failure))
    stream.add(journal)
    try:
        return await _finish(stream, await Run(request, stream).outcome())
    finally:
        journal.close()


async def _finish(stream: Stream, finished: RunFinished) -> RunFinished:
    finished = msgspec.structs.replace(finished, run=stream.run)
    await stream.emit(finished)
    return finished


class Run:
    """Puts the rooms together for one request."""

    def __init__(self, request: Request, stream: Stream) -> None:
        self._request = request
        self._emit = stream.span("task")
        config = request.config
        self._limits = Limits(turns=config.max_turns, tokens=config.max_tokens, seconds=config.timeout)
        self._site: Site | None = None
        self._judge: Judge | None = None
        self._levels: Levels | None = None
        self._patch = b""
        self._telling: set[asyncio.Future[None]] = set()
        self._applied = self._branch = ""

    async def outcome(self) -> RunFinished:
        try:
            finished = await self._work()
        except asyncio.CancelledError:
            _forget_cancellation()
            finished = _failed(Interrupted("interrupted"))
        except SandboxError as error:
            finished = _failed(NoSandbox(str(error), hint=error.hint))
        except CoderError as error:
            finished = _failed(error)
        try:
            if not self._patch and finished.status in ("limit", "model", "interrupted"):
                await self._salvage()
            return self._completed(finished)
        finally:
            if self._site is not None:
                await self._site.close()
            await asyncio.gather(*self._telling)

    async def _work(self) -> RunFinished:
        request, config = self._request, self._request.config
        repository = await asyncio.to_thread(find_repository, request.directory)
        await self._emit(_started(request, repository))
        swept = await asyncio.to_thread(sweep, request.state.parent)
        for note in swept.said:
            await self._emit(events.Warning(text=note))
        connected = await connect_role(config, ENGINEER, on_wait=self._waiting)
        endpoint, profile, self._levels = connected.endpoint, connected.profile, connected.levels
        strategy = profile.strategy if config.strategy == "auto" else config.strategy
        if request.workflow != "fix":
            strategy = "agent"
        await self._emit(
            events.Prepared(
                model=endpoint.model,
                server=f"{endpoint.backend} at {endpoint.base_url}",
                profile=profile.name,
                strategy=strategy,
                thinking=str(self._levels),
                context_length=endpoint.context_length,
            )
        )
        self._site = Site(repository, request.state, config, on_attempt=self._attempted)
        if swept.dead:
            self._site.reap_beside()
        self._judge = Judge(request, self._site, self._emit)
        model = ModelClient(endpoint, profile, facts=connected.facts)
        fix = Fix(
            request.task,
            advice=await asyncio.to_thread(_advice, repository),
            site=self._site,
            judge=self._judge,
            config=config,
            limits=self._limits,
            emit=self._emit,
        )
        try:
            ending = await fix.attempt(model, self._levels, strategy)
        finally:
            await model.close()
        return await self._judged(ending)

    async def _judged(self, ending: Ending) -> RunFinished:
        assert self._judge is not None
        assert self._site is not None
        self._patch = await self._judge.judge()
        if (unusable := await self._site.unusable()) is not None:
            return self._unverified(unusable)
        if not self._patch:
            return _unsolved(_no_patch_reason(ending), _no_patch_sentence(ending))
        keep(self._patch, self._request)
        failed = self._judge.evidence.first_failure()
        if failed is not None:
            return _unsolved(f"gate:{failed.name}", f"the change failed a gate: {failed.detail}")
        return await self._delivered(ending)

    def _unverified(self, unusable: NoSandbox) -> RunFinished:
        """The ending where no command could run: the change is kept, never applied."""
        done = "no file was changed"
        if self._patch:
            keep(self._patch, self._request)
            done = "the change could not be verified"
        return _failed(NoSandbox(f"{done}: {unusable}", hint=unusable.hint))

    async def _delivered(self, ending: Ending) -> RunFinished:
        assert self._site is not None
        workspace = await self._site.workspace()
        message = ending.summary or ending.sentence or self._request.task
        apply = self._request.apply or await self._approved()
        delivery = await asyncio.to_thread(deliver, workspace, self._request, message, apply=apply)
        if delivery.problem:
            return _unsolved("not_applied", f"the change is good, but: {delivery.problem}")
        where = ", and the change was applied" if delivery.applied else ""
        where += f", and it was committed to the branch {delivery.branch}" if delivery.branch else ""
        return RunFinished(
            status="solved",
            reason=ending.reason,
            sentence=f"every gate was passed{where}",
            exit=0,
            summary=ending.summary,
        )

    def _attempted(self, attempt: Attempt) -> None:
        event = events.NetworkAttempt(
            host=attempt.host, port=attempt.port, allowed=attempt.allowed, why=attempt.why
        )
        telling = asyncio.ensure_future(self._emit(event))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _waiting(self, reason: str) -> None:
        await self._emit(events.Retried(reason=reason))

    async def _approved(self) -> bool:
        approve = self._request.approve
        return approve is not None and await approve(self._patch.decode("utf-8", "replace"))

    async def _salvage(self) -> None:
        """Keep the best attempt of a run that a limit, the server or the user ended."""
        if self._site is None or not self._site.ready:
            return
        workspace = await self._site.workspace()
        try:
            async with asyncio.timeout(SALVAGE_SECONDS):
                tree = await asyncio.to_thread(workspace.snapshot)
                self._patch = await asyncio.to_thread(workspace.patch, workspace.base, tree)
            if self._patch:
                keep(self._patch, self._request)
        except (SandboxError, UsageError, OSError, TimeoutError) as error:
            await self._emit(events.Warning(text=f"the attempt so far could not be kept: {error}"))

    def _evidence(self) -> dict[str, Any]:
        if self._judge is None:
            return {}
        evidence = self._judge.evidence.as_dict() | {"sandbox": self._site.promised if self._site else None}
        attempts = self._site.attempts if self._site else []
        return {**evidence, "network": [asdict(attempt) for attempt in attempts]} if attempts else evidence

    def _completed(self, finished: RunFinished) -> RunFinished:
        return msgspec.structs.replace(
            finished,
            patch=self._patch.decode("utf-8", "replace"),
            evidence=self._evidence(),
            spent=self._limits.spent,
            thinking=self._levels.as_dict() if self._levels else {},
            timings={"seconds": round(self._limits.elapsed, 2)},
        )


def _advice(repository: Repository) -> str:
    """What the repository tells its contributors: advice to the model, never configuration."""
    try:
        text = read_bytes(repository.root, ADVICE_FILE, MAX_ADVICE).decode("utf-8", "replace")
    except (OSError, FileRefused):
        return ""
    return f"\n\nThe repository's {ADVICE_FILE} says:\n{text.strip()}" if text.strip() else ""


def _started(request: Request, repository: Repository) -> events.RunStarted:
    return events.RunStarted(
        task=request.task,
        workflow=request.workflow,
        repository=str(repository.root),
        base=head_commit(repository) or "",
    )


def _failed(error: CoderError) -> RunFinished:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), "unsolved")
    reason = error.kind if isinstance(error, LimitReached) else type(error).__name__
    hint = error.hint[:1].upper() + error.hint[1:]
    sentence = f"{error}. {hint}" if hint else str(error)
    return RunFinished(status=status, reason=reason, sentence=sentence, exit=error.exit_status)


def _unsolved(reason: str, sentence: str) -> RunFinished:
    return RunFinished(status="unsolved", reason=reason, sentence=sentence, exit=1)


def _no_patch_reason(ending: Ending) -> str:
    return "no_change" if ending.reason == "submitted" else ending.reason


def _no_patch_sentence(ending: Ending) -> str:
    return f"no file was changed: {ending.sentence}" if ending.sentence else "no file was changed"


def _forget_cancellation() -> None:
    """The interruption has been taken note of; what follows is cleaning up, which must not be cancelled."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
