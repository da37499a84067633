"""Roles: which server and model one works with, and how much it thinks at which step.

Everything is settled in one order: a flag or variable (the engineer's alone) > the role > the model table > the profile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from coder.config import ENGINEER, Config, EndpointSettings, RoleSettings
from coder.errors import ConfigError
from coder.model.endpoint import Endpoint, OnWait, connect
from coder.model.facts import Facts, load
from coder.model.profile import Profile
from coder.model.thinking import Thinking

_OFF = Thinking("off")


@dataclass(frozen=True, slots=True)
class Levels:
    """How much to think: `diagnosis` at the start and after a failure, `routine` at the steps between."""

    diagnosis: Thinking
    routine: Thinking

    def at(self, step: str) -> Thinking:
        """The level of a step: diagnosis, failure or routine. Raises ValueError for any other."""
        if step not in ("diagnosis", "failure", "routine"):
            raise ValueError(f"{step!r} is no step: diagnosis, failure or routine")
        return self.routine if step == "routine" else self.diagnosis

    def as_dict(self) -> dict[str, str]:
        """The two levels by their steps, each off, low, full or a number of tokens."""
        return {"diagnosis": str(self.diagnosis.mode), "routine": str(self.routine.mode)}

    def __str__(self) -> str:
        diagnosis, routine = self.as_dict().values()
        return diagnosis if diagnosis == routine else f"{diagnosis}, {routine} at routine steps"


@dataclass(frozen=True, slots=True)
class Connected:
    """A role with its server and model. `facts` is what an earlier examination of this server found, if any."""

    role: str
    endpoint: Endpoint
    profile: Profile
    levels: Levels
    facts: Facts | None = None


async def connect_role(config: Config, role: str, *, on_wait: OnWait | None = None) -> Connected:
    """Find the role's server and model, and settle its levels. `on_wait` hears of a server that is still loading.

    Raises:
        ConfigError: a URL, a profile's name or the levels are wrong.
        UsageError, ModelUnavailable, ModelRejected: as `endpoint.connect`.
    """
    named, server = server_for(config, role)
    try:
        endpoint, profile = await connect(
            server.base_url or None,
            server.model or None,
            server.api_key or None,
            profile=server.profile or None,
            on_wait=on_wait,
        )
    except ConfigError as problem:
        where = f"{config.layer('endpoints')}: endpoints.{named}: " if named else ""
        raise ConfigError(f"{where}{problem}", hint=problem.hint) from problem
    facts = load(endpoint)
    if facts and facts.context:
        endpoint = replace(
            endpoint, context_length=min(facts.context, endpoint.context_length or facts.context)
        )
    return Connected(role, endpoint, profile, levels_for(config, role, profile), facts)


def server_for(config: Config, role: str) -> tuple[str, EndpointSettings]:
    """The name of the role's endpoint (empty: the model table) and its settings; an empty URL: look around.

    A key goes only to the server that it was given for. A profile that was named beside a model is for that model.
    """
    own = config.roles.get(role, RoleSettings())
    table = EndpointSettings(
        base_url=config.base_url, model=config.model, api_key=config.api_key, profile=config.profile
    )
    given = {
        name for name in ("base_url", "model", "profile") if role == ENGINEER and config.for_this_run(name)
    }
    if "base_url" in given:
        return "", table
    server = config.endpoints[own.endpoint] if own.endpoint else table
    model = config.model if "model" in given else own.model or server.model
    profile = "" if server.model and model != server.model else server.profile
    if "profile" in given:
        profile = config.profile
    return own.endpoint, replace(server, model=model, profile=profile)


def levels_for(config: Config, role: str, profile: Profile) -> Levels:
    """The role's levels with a model of this profile.

    A level that stands alone is for all steps: where one layer says how much to think, the routine levels below it no
    longer count. A model that cannot think gets off for both.

    Raises ConfigError where the two must not alternate within a run (`ThinkingProfile.fixed`).
    """
    if not profile.thinking.supports:
        return Levels(_OFF, _OFF)
    diagnosis, routine = str(profile.thinking.default), str(profile.thinking.routine)
    for level, between in _layers(config, role):
        if level:
            diagnosis, routine = level, between
        elif between:
            routine = between
    levels = Levels(Thinking.parse(diagnosis), Thinking.parse(routine or diagnosis))
    _refuse_alternation(levels, role, profile)
    return levels


def _layers(config: Config, role: str) -> list[tuple[str, str]]:
    """(thinking, routine) as each layer says it, from the weakest to the strongest; empty where it says nothing."""
    thinking, routine = (
        (getattr(config, name) if config.for_this_run(name) else "") for name in ("thinking", "routine")
    )
    given = (thinking, routine)
    table = (config.thinking, routine if thinking else config.routine)
    own = config.roles.get(role, RoleSettings())
    layers = [table, (own.thinking, own.routine)]
    return [*layers, given] if role == ENGINEER else layers


def _refuse_alternation(levels: Levels, role: str, profile: Profile) -> None:
    modes = {levels.diagnosis.mode, levels.routine.mode}
    fixed = [level for level in profile.thinking.fixed if level in modes]
    if fixed and len(modes) > 1:
        raise ConfigError(
            f"the {role} cannot think {levels.diagnosis.mode} and, at routine steps, {levels.routine.mode}: with"
            f" {profile.name} the level {fixed[0]} rewrites the prompt, and each change would cost the prefix cache",
            hint=f"use {fixed[0]} for both thinking and routine, or another level than {fixed[0]} "
            "(a number of tokens caps the thoughts and leaves the prompt alone)",
        )
