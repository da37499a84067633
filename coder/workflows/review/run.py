"""A review as a run of its own: `coder review`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from coder import events
from coder.agent.limits import Limits
from coder.agent.memory import SPAN as TASK
from coder.errors import LimitReached, ModelError, UsageError
from coder.events import Emit, RunFinished, Sink, Stream, within
from coder.journal import FILE, Journal
from coder.review_events import Verdict
from coder.workflows.gates.source import ChangedFile, changed_files
from coder.workflows.house import House
from coder.workflows.request import Request
from coder.workflows.review.change import Between, since_revision, with_patch
from coder.workflows.review.regressions import Regressions, regressions
from coder.workflows.review.reviewer import SPAN, connect_reviewer
from coder.workflows.review.trial import trial

TASK_TEXT = (
    "Review this change. Nobody says what it is for: judge whether it does well what it evidently wants."
)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What came of it. `files` are the changed ones that could be read."""

    verdict: Verdict
    between: Between
    files: tuple[ChangedFile, ...]


async def review(request: Request, revision: str, patch: bytes | None, *sinks: Sink) -> Reviewed:
    """Review a change: `patch`, or what stands here against `revision`. Raises CoderError."""
    stream = Stream(request.run, *sinks)
    try:
        journal = Journal(request.session / FILE)
    except OSError as error:
        raise UsageError(
            f"the session directory {request.session} cannot be written: {error.strerror}"
        ) from error
    stream.add(journal)
    emit = stream.span(TASK)
    house = House(request, emit)
    try:
        reviewed = await _reviewed(request, house, emit, revision, patch)
        wanted = reviewed.verdict.verdict
        await stream.emit(
            RunFinished(
                run=request.run, status="answered", reason=wanted, sentence=reviewed.verdict.summary, exit=0
            )
        )
        return reviewed
    finally:
        await house.close()
        journal.close()


async def _reviewed(
    request: Request, house: House, emit: Emit, revision: str, patch: bytes | None
) -> Reviewed:
    repository = await house.repository()
    task = request.task or TASK_TEXT
    await emit(events.RunStarted(task=task, workflow="review", repository=str(repository.root)))
    site = await house.place()
    between = await (since_revision(site, repository, revision) if patch is None else with_patch(site, patch))
    workspace = await site.workspace()
    changes = await asyncio.to_thread(workspace.changes, between.before, between.after)
    files = await asyncio.to_thread(changed_files, changes, workspace.shadow.blob)
    if not files:
        raise UsageError(
            "there is nothing to review: no file differs", hint="--base REV names what to compare with."
        )
    config = request.config
    limits = Limits(turns=config.max_turns, tokens=config.max_tokens, seconds=config.timeout)
    reviewer = await connect_reviewer(config, limits, within(emit, SPAN))
    seen = Regressions()
    try:
        async with limits.deadline():
            if request.verify:
                seen = await regressions(site, between, files, config, emit)
            await emit(events.Activity(text=f"reviewing {len(files)} files"))
            attempt = trial(site, between.before, between.after)
            verdict = await reviewer.review(task, files, attempt, evidence=seen.evidence, known=seen.findings)
    except (ModelError, LimitReached) as error:
        if not seen.findings:
            raise
        await emit(events.Warning(text=f"only the tests speak here, no model reviewed it: {error}"))
        verdict = Verdict(verdict="REQUEST_CHANGES", findings=seen.findings)
    finally:
        await reviewer.close()
    await emit(verdict)
    return Reviewed(verdict, between, files)
