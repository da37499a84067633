"""A run from its request to its RunFinished: whatever happens in between, there is exactly one ending."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Any

import msgspec

from coder import events
from coder.agent.limits import Limits
from coder.agent.loop import Attended, Ending
from coder.agent.memory import SPAN
from coder.errors import CoderError, Interrupted, LimitReached, ModelError, NoSandbox, UsageError
from coder.events import Emit, RunFinished, Sink, Stream
from coder.journal import FILE, Journal
from coder.model.roles import Levels
from coder.workflows.acceptance import Acceptance
from coder.workflows.candidates.candidate import Candidate
from coder.workflows.candidates.run import Candidates
from coder.workflows.deliver import deliver, keep
from coder.workflows.evidence import Tested
from coder.workflows.fix import Fix
from coder.workflows.house import Engineer, House
from coder.workflows.judge import Judge
from coder.workflows.record import Recorder
from coder.workflows.request import Request
from coder.workflows.share import Share
from coder.workflows.site import Site
from sandbox.errors import SandboxError
from sandbox.repository import Repository, head_commit

SALVAGE_SECONDS = 20.0
"""How long the best attempt of a run that ended badly may take to be saved."""

_GOOD_WORDS = {"answered": "answered", "submitted": "answered", "planned": "planned"}

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
    stream.add(Recorder(request.session, request.config.test))
    emit = stream.span(SPAN)
    house = House(request, emit)
    try:
        try:
            finished = await Run(request, house, emit).outcome()
        finally:
            await house.close()
        return await _finish(stream, finished)
    finally:
        journal.close()


async def _finish(stream: Stream, finished: RunFinished) -> RunFinished:
    finished = msgspec.structs.replace(finished, run=stream.run)
    await stream.emit(finished)
    return finished


class Run:
    """Puts the rooms together for one request. The house is the caller's to close."""

    def __init__(
        self, request: Request, house: House, emit: Emit, *, attended: Attended | None = None
    ) -> None:
        self._request = request
        self._house = house
        self._emit = emit
        self._attended = attended
        config = request.config
        self._limits = Limits(turns=config.max_turns, tokens=config.max_tokens, seconds=config.timeout)
        self._judge: Judge | None = None
        self._levels: Levels | None = None
        self._patch = b""
        self._site: Site | None = None
        """Where the change was made, if not in the house's own copy."""

    async def outcome(self) -> RunFinished:
        try:
            finished = await self._work()
        except asyncio.CancelledError:
            forget_cancellation()
            finished = _failed(Interrupted("interrupted"))
        except SandboxError as error:
            finished = _failed(NoSandbox(str(error), hint=error.hint))
        except CoderError as error:
            finished = _failed(error)
        if not self._patch and finished.status in ("limit", "model", "interrupted"):
            await self._salvage()
        return self._completed(finished)

    async def _work(self) -> RunFinished:
        request, house = self._request, self._house
        await self._emit(_started(request, await house.repository()))
        engineer = await house.engineer(request.workflow)
        self._levels = engineer.levels
        if request.config.candidates > 1 and self._attended is None and request.verify:
            return await self._best_of(engineer)
        site = await house.place()
        judge = self._judge = Judge(request, site, self._emit, since=house.since, known=house.tested)
        acceptance = Acceptance(request, judge=judge, house=house, limits=self._limits, emit=self._emit)
        fix = Fix(
            request,
            house=house,
            judge=judge,
            acceptance=acceptance,
            limits=self._limits,
            emit=self._emit,
            attended=self._attended,
        )
        try:
            ending = await fix.attempt(engineer)
            if not request.verify:
                return await self._unjudged(ending, site)
            if self._attended is not None and not await self._changed_since(site, self._attended.tree):
                return _without_change(ending)
            return await self._judged(ending, site, judge, acceptance)
        finally:
            await acceptance.close()

    async def _best_of(self, engineer: Engineer) -> RunFinished:
        """Several attempts side by side; the chosen one is delivered as a single one would be."""
        request = self._request

        count = request.config.candidates
        tested: Tested = {}  # the copies of all begin alike

        async def make(index: int, emit: Emit) -> Candidate:
            own = replace(request, state=request.state / f"candidate-{index}", share=Share(index - 1, count))
            house, limits = House(own, emit, engineer=engineer), self._fresh_limits()
            site = await house.place()
            judge = Judge(own, site, emit, known=tested)
            acceptance = Acceptance(own, judge=judge, house=house, limits=limits, emit=emit)

            async def attempt(candidate: Candidate, engineer: Engineer) -> Ending:
                fix = Fix(own, house=house, judge=judge, acceptance=acceptance, limits=limits, emit=emit)
                return await fix.attempt(engineer)

            return Candidate(
                index=index, house=house, judge=judge, acceptance=acceptance, limits=limits, site=site, state=own.state, emit=emit, attempt=attempt
            )  # fmt: skip

        async with Candidates(
            count, make, task=request.task, limits=self._limits, emit=self._emit
        ) as candidates:
            winner = await candidates.chosen(engineer)
            shown = winner or candidates.best_failure()
            if shown is None:
                return _unsolved("no_change", f"none of {count} candidates changed a file")
            self._judge, self._patch, self._site = shown.judge, shown.patch, shown.site
            shown.judge.evidence.candidates = {"chosen": shown.name if winner else "", "why": candidates.why, "all": candidates.as_dicts()}  # fmt: skip
            keep(self._patch, request)
            if winner is None:
                return _unsolved(
                    "candidates", f"none of {count} candidates passed every gate: {shown.reason}"
                )
            if shown.acceptance.reviews and (await shown.acceptance.verdict()).verdict != "APPROVE":
                return _unsolved("review", "the reviewer asks for changes, with proof: the findings tell")
            ending = shown.ending or Ending("submitted", "")
            return await self._delivered(ending, shown.site)

    def _fresh_limits(self) -> Limits:
        """A candidate's own: the tokens are shared out, turns and time are each one's."""
        config = self._request.config
        tokens = config.max_tokens // config.candidates
        return Limits(turns=config.max_turns, tokens=tokens, seconds=config.timeout)

    async def _changed_since(self, site: Site, tree: str) -> bool:
        """Whether this task changed a file. A session's task may end without."""
        if not site.ready:
            return False
        workspace = await site.workspace()
        return await asyncio.to_thread(workspace.snapshot) != (tree or workspace.base)

    async def _judged(self, ending: Ending, site: Site, judge: Judge, acceptance: Acceptance) -> RunFinished:
        self._patch = await judge.judge()
        if (unusable := await site.unusable()) is not None:
            return self._unverified(unusable)
        if not self._patch:
            return _unsolved(_no_patch_reason(ending), _no_patch_sentence(ending))
        keep(self._patch, self._request)
        failed = judge.evidence.first_failure()
        if failed is not None:
            return _unsolved(f"gate:{failed.name}", f"the change failed a gate: {failed.detail}")
        if acceptance.reviews and (await acceptance.verdict()).verdict != "APPROVE":
            return _unsolved("review", "the reviewer asks for changes, with proof: the findings tell")
        return await self._delivered(ending, site)

    async def _unjudged(self, ending: Ending, site: Site) -> RunFinished:
        """The change as it is, for somebody else to judge."""
        workspace = await site.workspace()
        tree = await asyncio.to_thread(workspace.snapshot)
        self._patch = await asyncio.to_thread(workspace.patch, workspace.base, tree)
        if not self._patch:
            return _unsolved(_no_patch_reason(ending), _no_patch_sentence(ending))
        keep(self._patch, self._request)
        return RunFinished(
            status="unverified",
            reason=ending.reason,
            sentence=ending.sentence or "the change is to be judged elsewhere",
            exit=0,
            summary=ending.summary,
        )

    def _unverified(self, unusable: NoSandbox) -> RunFinished:
        """The ending where no command could run: the change is kept, never applied."""
        done = "no file was changed"
        if self._patch:
            keep(self._patch, self._request)
            done = "the change could not be verified"
        return _failed(NoSandbox(f"{done}: {unusable}", hint=unusable.hint))

    async def _delivered(self, ending: Ending, site: Site) -> RunFinished:
        workspace = await site.workspace()
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

    async def _approved(self) -> bool:
        approve = self._request.approve
        return approve is not None and await approve(self._patch.decode("utf-8", "replace"))

    async def _salvage(self) -> None:
        """Keep the best attempt of a run that a limit, the server or the user ended."""
        site = self._house.site
        if site is None or not site.ready:
            return
        workspace = await site.workspace()
        try:
            async with asyncio.timeout(SALVAGE_SECONDS):
                tree = await asyncio.to_thread(workspace.snapshot)
                base = self._house.since or workspace.base
                self._patch = await asyncio.to_thread(workspace.patch, base, tree)
            if self._patch:
                keep(self._patch, self._request)
        except (SandboxError, UsageError, OSError, TimeoutError) as error:
            await self._emit(events.Warning(text=f"the attempt so far could not be kept: {error}"))

    def _evidence(self) -> dict[str, Any]:
        if self._judge is None:
            return {}
        site = self._site or self._house.site
        evidence = self._judge.evidence.as_dict() | {"sandbox": site.promised if site else None}
        attempts = site.attempts if site else []
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


def _without_change(ending: Ending) -> RunFinished:
    """A session's task after which the files are as they were: an answer or a plan is a good end, too."""
    status = _GOOD_WORDS.get(ending.reason, "unsolved")
    return RunFinished(
        status=status,
        reason=ending.reason,
        sentence=ending.sentence,
        exit=1 if status == "unsolved" else 0,
        summary=ending.summary,
    )


def _no_patch_reason(ending: Ending) -> str:
    return "no_change" if ending.reason == "submitted" else ending.reason


def _no_patch_sentence(ending: Ending) -> str:
    return f"no file was changed: {ending.sentence}" if ending.sentence else "no file was changed"


def forget_cancellation() -> None:
    """The interruption has been taken note of; what follows is cleaning up, which must not be cancelled."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
