"""`coder init`: detect, show, agree, set up, prove. What a run finds later is made here, and only here."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coder import config, environment, headless, sessions
from coder.config import PROJECT_FILE, Config
from coder.environment import Agreements, Plan
from coder.errors import CoderError, NoSandbox, UsageError
from coder.init import cleaning
from coder.init import plan as words
from coder.init.check import Seen, look
from coder.start import project_folder, run_until_interrupted
from sandbox.base import Policy
from sandbox.environments.detect import image_for
from sandbox.environments.job import SECONDS, Job, SetupFailed
from sandbox.environments.prepare import cached, set_up
from sandbox.environments.store import Kept
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.repository import find_repository
from sandbox.text import clean_text
from sandbox.workspace import Workspace

__all__ = ["Options", "initialise", "prepare_for_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The flags. `timeout` in seconds."""

    directory: Path
    yes: bool = False
    sandbox: str | None = None
    image: str | None = None
    show: bool = False
    clean: bool = False
    timeout: float = SECONDS
    json: bool = False


class NotAgreed(UsageError):
    """Nobody said that the set-up may run."""


class SetupError(CoderError):
    """The set-up did not work; what it last said is part of the message."""


@dataclass(slots=True)
class Outcome:
    """What came of it, for both kinds of output. `status`: ready, cached, shown, unproven or nothing."""

    status: str = "nothing"
    plan: Plan | None = None
    kept: Kept | None = None
    seen: list[Seen] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)


def initialise(options: Options) -> int:
    """Do what the flags say; returns the exit status. Raises CoderError."""
    directory = options.directory.resolve()
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory")
    if options.clean:
        return cleaning.clean(_repository(directory), os.environ, as_json=options.json)
    settings = config.load(
        project=project_folder(directory),
        flags={"sandbox": options.sandbox, "image": options.image},
        environ=os.environ,
    )
    outcome = run_until_interrupted(_Init(options, directory, settings).run())
    headless.write_result(_as_json(outcome) if options.json else _as_text(outcome))
    return 1 if outcome.status == "unproven" else 0


def prepare_for_run(flags: Mapping[str, Any]) -> None:
    """Set up what a run with these flags needs; the flag --yes has agreed to it. Raises CoderError."""
    directory = flags["directory"].resolve()
    options = Options(directory=directory, yes=True)
    named = {name: flags.get(name) for name in config.SETTINGS}
    settings = config.load(project=project_folder(directory), flags=named, environ=os.environ)
    outcome = run_until_interrupted(_Init(options, directory, settings).run())
    if outcome.status != "nothing":
        _say(_as_text(outcome).rstrip())


def _repository(directory: Path) -> Path:
    try:
        return find_repository(directory).root
    except SandboxError as error:
        raise UsageError(str(error), hint=error.hint) from error


class _Init:
    """One run of the command."""

    def __init__(self, options: Options, directory: Path, settings: Config) -> None:
        self._options = options
        self._settings = settings
        self._project = _repository(directory)
        self._store = environment.store(os.environ)
        self._agreements = Agreements(os.environ)
        self._reached: list[str] = []

    async def run(self) -> Outcome:
        await asyncio.to_thread(self._store.reap)
        try:
            async with _copy(self._project) as workspace:
                return await self._first_that_works(workspace)
        except SetupFailed as error:
            said = "\n".join(f"    {line}" for line in error.lines)
            raise SetupError(f"{error}\n{said}", hint=f"{error.hint}\nThe log: {error.log}") from error
        except SandboxUnavailable as error:
            raise NoSandbox(str(error), hint=error.hint) from error
        except SandboxError as error:
            raise SetupError(str(error), hint=error.hint) from error

    async def _first_that_works(self, workspace: Workspace) -> Outcome:
        possible = environment.plans(workspace.root, self._settings)
        if not possible:
            return Outcome()
        problem: SandboxUnavailable | None = None
        for plan in possible:
            try:
                return await self._with(plan, workspace)
            except SandboxUnavailable as error:
                problem = problem or error
                _say(f"{plan.backend} cannot be used: {error}")
        assert problem is not None
        raise problem

    async def _with(self, plan: Plan, workspace: Workspace) -> Outcome:
        job = self._job(plan, workspace)
        found = await cached(job)
        if self._options.show:
            _say(self._shown(plan, job))
            return Outcome("shown", plan, found)
        status = "cached"
        if found is None:
            self._agree(plan, job)
            found = await self._set_up(job)
            status = "ready"
        seen = [] if status == "cached" else await self._prove(plan, found)
        if any(each.needed and not each.ok for each in seen):
            status = "unproven"
        elif status == "ready":
            self._offer_file(plan)
        return Outcome(status, plan, found, seen, self._reached)

    def _job(self, plan: Plan, workspace: Workspace) -> Job:
        passed = {name: os.environ[name] for name in self._settings.passed if name in os.environ}
        return Job(
            recipe=plan.recipe,
            workspace=workspace,
            project=self._project,
            backend=plan.backend,
            store=self._store,
            log=sessions.home(os.environ).parent / "setups" / f"{self._project.name}.log",
            say=_say,
            environ=os.environ,
            passed=passed,
            timeout=self._options.timeout,
            image=image_for(plan.recipe.toolchain),
        )

    # Consent

    def _shown(self, plan: Plan, job: Job) -> str:
        return words.describe(plan, image=job.image, passed=sorted(job.passed), seconds=job.timeout)

    def _agree(self, plan: Plan, job: Job) -> None:
        """Go on when exactly this was agreed to, or is now. Raises NotAgreed."""
        root = job.workspace.root
        if self._agreements.has(root, self._project, plan.recipe):
            return
        _say(self._shown(plan, job))
        if not self._options.yes and not self._asked():
            again = f"coder init -C {self._project} --yes"
            raise NotAgreed("nothing was run: the set-up was not agreed to", hint=f"To agree: {again}")
        self._agreements.add(root, self._project, plan.recipe)

    def _asked(self) -> bool:
        if self._options.json or not all(stream.isatty() for stream in (sys.stdin, sys.stderr)):
            return False
        import click

        return click.confirm("Set it up like this?", default=False, err=True)

    # Doing

    async def _set_up(self, job: Job) -> Kept:
        from sandbox.network import Attempt, Network

        def on_attempt(attempt: Attempt) -> None:
            if attempt.allowed:
                self._reached.append(f"{attempt.host}:{attempt.port}")
            else:
                _say(f"refused  {attempt.host}:{attempt.port}  {attempt.why}")

        network = Network((), open=True, on_attempt=on_attempt)
        await network.start()
        try:
            return await set_up(replace(job, network=network))
        finally:
            await network.close()

    async def _prove(self, plan: Plan, kept: Kept) -> list[Seen]:
        """In a new copy and a new sandbox without a network."""
        from sandbox.choose import open_sandbox

        _say("Trying it in a new sandbox without a network")
        async with _copy(self._project) as workspace:
            sandbox, _ = await open_sandbox(
                plan.backend,
                workspace,
                Policy(),
                image=kept.image or None,
                toolchain=kept.toolchain(),
                environment=self._store.environment(kept),
            )
            try:
                return await look(sandbox, plan.recipe, kept.python)
            finally:
                await sandbox.close()

    def _offer_file(self, plan: Plan) -> None:
        """Write a project file that explains itself, when there is none and somebody says yes."""
        path = self._project / PROJECT_FILE
        if os.path.lexists(path) or not plan.recipe.steps or self._options.yes or self._options.json:
            return
        if not all(stream.isatty() for stream in (sys.stdin, sys.stderr)):
            return
        import click

        if click.confirm(f"Write {PROJECT_FILE}, where this can be changed?", default=False, err=True):
            with suppress(FileExistsError), path.open("x") as file:
                file.write(words.template(plan.recipe))


@asynccontextmanager
async def _copy(project: Path) -> AsyncIterator[Workspace]:
    """A copy of the project that nobody else sees, gone at the end."""
    runs = sessions.home(os.environ).parent
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="init-", dir=runs))
    try:
        workspace = await asyncio.to_thread(Workspace.create, project, folder / "copy")
        try:
            yield workspace
        finally:
            await asyncio.to_thread(workspace.close)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(text: str) -> None:
    print(clean_text(text), file=sys.stderr, flush=True)


def _as_text(outcome: Outcome) -> str:
    lines = []
    match outcome.status:
        case "nothing":
            lines.append("Nothing to set up: no manifest, no devcontainer, no [environment] in .coder.toml.")
        case "shown":
            lines.append("Set up already." if outcome.kept else "Not set up yet.")
        case "cached":
            lines.append("Set up already, and nothing has changed since.")
        case "ready":
            lines.append("Set up. From now on every run uses it, without a network.")
        case _:
            lines.append("Set up, but it does not work:")
    lines += [f"  {'works' if each.ok else 'FAILS'}  {each.command}: {each.said}" for each in outcome.seen]
    if outcome.reached:
        lines.append(f"  it reached {', '.join(dict.fromkeys(outcome.reached))}")
    if outcome.kept is not None:
        lines.append(f"  {words.status(outcome.kept)}")
    return clean_text("\n".join(lines)) + "\n"


def _as_json(outcome: Outcome) -> str:
    import json

    kept, recipe = outcome.kept, outcome.plan.recipe if outcome.plan else None
    found: dict[str, Any] = {
        "version": 1,
        "status": outcome.status,
        "backend": outcome.plan.backend if outcome.plan else "",
        "source": recipe.source if recipe else "",
        "image": (recipe.image or recipe.dockerfile) if recipe else "",
        "steps": list(recipe.steps) if recipe else [],
        "inputs": list(recipe.inputs) if recipe else [],
        "ignored": list(outcome.plan.ignored) if outcome.plan else [],
        "key": kept.key if kept else "",
        "bytes": kept.size if kept else 0,
        "made": kept.made if kept else 0.0,
        "reached": list(dict.fromkeys(outcome.reached)),
        "checks": [
            {"command": each.command, "ok": each.ok, "said": each.said, "needed": each.needed}
            for each in outcome.seen
        ],
    }
    return json.dumps(found) + "\n"
