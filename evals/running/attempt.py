"""One attempt: a fresh place, the agent as `coder` runs it, and a verdict on whatever it left."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from coder import config, events
from coder.config import Config
from coder.errors import CoderError, UsageError
from coder.events import Event
from coder.journal import FILE
from coder.workflows.request import Request
from coder.workflows.run import execute
from evals.auditing import audit
from evals.environments import EnvironmentFailed, Place
from evals.grading import grade
from evals.instance import Instance
from evals.result import Grade, Result, Seconds, Status, Worked

GENERIC_TESTS = {"node": "node --test"}
"""How the agent runs tests, by toolchain: an instance's own command would name the hidden ones."""
_LIMITS = {"turns": Status.LIMIT_TURNS, "tokens": Status.LIMIT_TOKENS, "seconds": Status.LIMIT_SECONDS}
"""An agent that was stuck is no limit of the user's: its change counts as it is."""
_NO_MODEL = {"ContextOverflow": Status.CONTEXT_OVERFLOW}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides an attempt. `flags` are `coder run`'s own, by the names of its settings."""

    flags: Mapping[str, Any] = field(default_factory=dict)
    workflow: str = "run"
    """run, or fix: then a failing test is looked for first, and guided repair can work."""
    tests_timeout: float = 1800.0
    """Seconds for the tests of a grading."""

    @property
    def judged(self) -> bool:
        """Whether the gates have a say before the grading: candidates, were it one, and reviewers need what they saw."""
        return bool(self.flags.get("candidates")) or self.flags.get("reviewer") == "on"


@dataclass(slots=True)
class Watched:
    """A sink: where an attempt's time went, and what went wrong with its tools."""

    model: float = 0.0
    tools: float = 0.0
    failed_edits: int = 0
    masked: int = 0
    prepared: events.Prepared = field(default_factory=events.Prepared)
    sandbox: str = ""

    def __call__(self, event: Event) -> None:
        match event:
            case events.AssistantMessage():
                self.model += event.seconds
            case events.ToolFinished():
                self.tools += event.seconds
                self.failed_edits += not event.ok and event.name == "str_replace_editor"
            case events.Masked():
                self.masked += 1
            case events.Prepared() if event.model:
                self.prepared = event
            case events.Prepared():
                self.sandbox = event.sandbox
            case _:
                pass


@dataclass(slots=True, kw_only=True)
class Attempt:
    """Attempt `number` at an instance, in two stages: `work` needs the model, `verdict` does not."""

    instance: Instance
    number: int
    place: Place
    folder: Path
    """Where journal and patch go."""
    settings: Settings
    endpoint: str = ""
    setup: float = 0.0
    on_tokens: Callable[[int], None] = lambda tokens: None
    """Told how many tokens an answer had."""

    async def work(self) -> Worked:
        """Let the agent work until it ends, however that is. Raises UsageError for settings that cannot be."""
        shutil.rmtree(self.folder, ignore_errors=True)
        started, watched = time.time(), Watched()
        finished = await execute(self._request(), watched, self._count)
        if finished.status == "interrupted":
            raise asyncio.CancelledError
        if finished.status == "usage":
            raise UsageError(finished.sentence)
        result = Result(
            instance=self.instance.id,
            attempt=self.number,
            repo=self.instance.repo,
            difficulty=self.instance.difficulty,
            status=Status.UNRESOLVED,
            reason=finished.reason,
            detail=finished.sentence,
            patch=finished.patch,
            spent=finished.spent,
            seconds=Seconds(
                total=round(time.time() - started + self.setup, 3),
                setup=round(self.setup, 3),
                model=round(watched.model, 3),
                tools=round(watched.tools, 3),
            ),
            started=started,
            failed_edits=watched.failed_edits,
            masked=watched.masked,
            model=watched.prepared.model,
            server=watched.prepared.server,
            strategy=watched.prepared.strategy,
            sandbox=watched.sandbox,
            endpoint=self.endpoint,
        )
        return Worked(ending=finished.status, result=result)

    def _request(self) -> Request:
        place, settings = self.place, self.settings
        toolchain = self.instance.recipe.toolchain if self.instance.recipe else "python"
        flags = {
            "sandbox": place.kind,
            "image": place.image or None,
            "test": GENERIC_TESTS.get(toolchain),
            **({"base_url": self.endpoint} if self.endpoint else {}),
            **settings.flags,
        }
        return Request(
            task=self.instance.statement,
            workflow=settings.workflow,
            directory=place.tree,
            config=_config(flags),
            session=self.folder,
            state=place.scratch / "run",
            run=f"{self.instance.id}-{self.number}",
            verify=settings.judged,
            prepared=place.prepared,
        )

    def _count(self, event: Event) -> None:
        if isinstance(event, events.AssistantMessage):
            self.on_tokens(event.spent.completion_tokens)

    async def verdict(self, worked: Worked) -> Result:
        """Grade the change that there is, whatever the ending."""
        began = time.monotonic()
        draft = worked.result
        if worked.ending == "sandbox":
            graded = Grade(status=Status.ENVIRONMENT_ERROR, detail=draft.detail)
        else:
            graded = await self._graded(draft.patch)
        status = _status(worked, graded)
        seconds = msgspec.structs.replace(
            draft.seconds,
            total=round(draft.seconds.total + time.monotonic() - began, 3),
            setup=round(draft.seconds.setup + graded.setup_seconds, 3),
            tests=graded.seconds,
        )
        detail = graded.detail if status is graded.status else draft.detail
        findings = await asyncio.to_thread(audit, self.instance, draft.patch, self.folder / FILE)
        return msgspec.structs.replace(
            draft, status=status, detail=detail, grade=graded, seconds=seconds, findings=findings
        )

    async def _graded(self, patch: str) -> Grade:
        try:
            return await grade(self.instance, patch, self.place, timeout=self.settings.tests_timeout)
        except EnvironmentFailed:
            try:  # once more: a machine that was full or slow just then says nothing about the change
                return await grade(self.instance, patch, self.place, timeout=self.settings.tests_timeout)
            except CoderError as error:
                return Grade(status=Status.ENVIRONMENT_ERROR, detail=str(error))


def _status(worked: Worked, graded: Grade) -> Status:
    """How it counts: a change that passes is resolved, however the run ended."""
    if graded.status in (Status.RESOLVED, Status.ENVIRONMENT_ERROR):
        return graded.status
    match worked.ending:
        case "limit":
            return _LIMITS.get(worked.result.reason, graded.status)
        case "model":
            return _NO_MODEL.get(worked.result.reason, Status.SERVER_ERROR)
    return graded.status


def _config(flags: Mapping[str, Any]) -> Config:
    return config.load(project=None, flags={**dict.fromkeys(config.SETTINGS), **flags}, environ=os.environ)


def broken_off(instance: str, number: int, status: Status, detail: str) -> Result:
    """An attempt that could not be made at all."""
    return Result(instance=instance, attempt=number, status=status, detail=detail, started=time.time())
