"""What outlives a task: the connected model, the copy with its sandboxes, and the state of the tools."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from coder import events
from coder.config import ENGINEER, Config
from coder.events import Emit
from coder.model.client import ModelClient
from coder.model.profile import Profile
from coder.model.roles import Levels, connect_role
from coder.model.thinking import Thinking
from coder.workflows.evidence import Tested
from coder.workflows.leftovers import Swept, sweep
from coder.workflows.request import Request
from coder.workflows.site import Site
from sandbox.choose import UNCONFINED
from sandbox.errors import FileRefused
from sandbox.hostfiles import read_bytes
from sandbox.network import Attempt
from sandbox.repository import Repository, find_repository
from tools.base import Context

ADVICE_FILE = "AGENTS.md"
MAX_ADVICE = 8 * 1024
"""Bytes; a longer file of advice is left out, for its cost in every prompt."""

_RISK = (
    "there is no sandbox: what the model and the repository run can read and change everything that you can, "
    "reach the network, and stay"
)
_UNVERIFIED = (
    "no command can run here: the model reads and edits, no test runs, and the change is never applied"
)


@dataclass(frozen=True, slots=True)
class Engineer:
    """The model at work. `strategy` is what its profile or the user's settings say: agent or repair."""

    model: ModelClient
    levels: Levels
    strategy: str

    @property
    def profile(self) -> Profile:
        return self.model.profile


class House:
    """Opens each part when it is first asked for. Everything is gone after `close`."""

    def __init__(self, request: Request, emit: Emit, *, engineer: Engineer | None = None) -> None:
        """An `engineer` that is given stays its owner's to close."""
        self.config: Config = request.config
        self.site: Site | None = None
        self.since = ""
        """The snapshot that the user's own files hold by now; empty for the copy's start."""
        self.tested: Tested = {}
        self._request = request
        self._emit = emit
        self._repository: Repository | None = None
        self._engineer = engineer
        self._lent = engineer is not None
        self._context: Context | None = None
        self._opening = asyncio.Lock()
        self._swept: Swept | None = None
        self._telling: set[asyncio.Future[None]] = set()

    async def repository(self) -> Repository:
        """Raises SandboxError where there is none that can be used."""
        if self._repository is None:
            self._repository = await asyncio.to_thread(find_repository, self._request.directory)
        return self._repository

    async def place(self) -> Site:
        if self.site is None:
            repository, swept = await self.repository(), await self._sweep()
            self.site = Site(
                repository,
                self._request.state,
                self.config,
                on_attempt=self._attempted,
                prepared=self._request.prepared,
            )
            if swept.dead:
                self.site.reap_beside()
        return self.site

    async def _sweep(self) -> Swept:
        """Once: take away what killed runs left, and tell of it."""
        if self._swept is None:
            self._swept = await asyncio.to_thread(sweep, self._request.state.parent)
            for note in self._swept.said:
                await self._emit(events.Warning(text=note))
        return self._swept

    def _attempted(self, attempt: Attempt) -> None:
        event = events.NetworkAttempt(
            host=attempt.host, port=attempt.port, allowed=attempt.allowed, why=attempt.why
        )
        telling = asyncio.ensure_future(self._emit(event))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def engineer(self, workflow: str) -> Engineer:
        """The model for a task of this workflow; connects, and says to what, the first time. See connect_role."""
        if self._engineer is None:
            self._engineer = await self._connect(workflow)
        known = self._engineer
        return known if workflow == "fix" else replace(known, strategy="agent")

    def think(self, level: str) -> Thinking:
        """Think as much at every step from the next task on. Raises ConfigError for no level."""
        thinking = Thinking.parse(level)
        layers = {**self.config.layers, "thinking": "flag", "routine": "flag"}
        self.config = replace(self.config, thinking=level, routine=level, layers=layers)
        known = self._engineer
        if known is not None and known.profile.thinking.supports:
            self._engineer = replace(known, levels=Levels(thinking, thinking))
        return thinking

    async def _connect(self, workflow: str) -> Engineer:
        config = self.config
        await self._sweep()
        connected = await connect_role(config, ENGINEER, on_wait=self._waiting)
        endpoint, profile = connected.endpoint, connected.profile
        strategy = profile.strategy if config.strategy == "auto" else config.strategy
        await self._emit(
            events.Prepared(
                model=endpoint.model,
                server=f"{endpoint.backend} at {endpoint.base_url}",
                profile=profile.name,
                strategy=strategy if workflow == "fix" else "agent",
                thinking=str(connected.levels),
                context_length=endpoint.context_length,
            )
        )
        model = ModelClient(endpoint, profile, facts=connected.facts)
        return Engineer(model, connected.levels, strategy)

    async def context(self) -> Context:
        """The tools' surroundings, made when the first tool needs them."""
        async with self._opening:
            if self._context is None:
                self._context = await self._surroundings()
        return self._context

    async def _surroundings(self) -> Context:
        site = await self.place()
        sandbox = await site.sandbox()
        promises = site.promises(sandbox)
        enforced = {promise.name: promise.enforced for promise in promises}
        why = await site.why()
        await self._emit(events.Prepared(sandbox=sandbox.name, why=why, guarantees=enforced))
        if advice := await site.advice():
            await self._emit(events.Warning(text=advice))
        await self._emit(events.Guaranteed(sandbox=sandbox.name, promises=promises))
        site.examine_beside(sandbox, self._emit)
        if sandbox.name == UNCONFINED:
            await self._emit(events.Warning(text=_RISK if sandbox.runs else _UNVERIFIED))
        return Context(
            sandbox=sandbox,
            needs_check=sandbox.runs,
            command_timeout=self.config.command_timeout,
            test_command=self.config.test,
            python=await site.python(),
        )

    async def advice(self) -> str:
        """What the repository tells its contributors: advice to the model, never configuration."""
        root = (await self.repository()).root
        try:
            data = await asyncio.to_thread(read_bytes, root, ADVICE_FILE, MAX_ADVICE)
        except (OSError, FileRefused):
            return ""
        text = data.decode("utf-8", "replace").strip()
        return f"\n\nThe repository's {ADVICE_FILE} says:\n{text}" if text else ""

    async def close(self) -> None:
        """Safe to call twice."""
        engineer, self._engineer = self._engineer, None
        if engineer is not None and not self._lent:
            await engineer.model.close()
        if self.site is not None:
            await self.site.close()
        await asyncio.gather(*self._telling)

    async def _waiting(self, reason: str) -> None:
        await self._emit(events.Retried(reason=reason))
