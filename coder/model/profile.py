"""What we know of a model: sampling, dialect, strategy, edit format and thinking controls, one TOML file a model."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from coder.errors import ConfigError

_FOLDER = Path(__file__).parent / "profiles"
GENERIC = "generic"
SMALL = "small-coder"


@dataclass(frozen=True, slots=True)
class ThinkingProfile:
    """How a model's reasoning is steered.

    `default` is off, low, full or a number of tokens (`thinking.Thinking.parse` reads it). `chat_template_kwargs`
    go with every request; `low` and `off` are laid over them in those modes.
    """

    supports: bool = False
    default: str | int = "off"
    keep_history: bool = False
    chat_template_kwargs: dict[str, bool | int | str] = field(default_factory=dict)
    low: dict[str, bool | int | str] = field(default_factory=dict)
    off: dict[str, bool | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """`temperature`, `top_p` and `top_k` of None are left to the server. Lengths in tokens; `context` is only used
    where the server does not tell."""

    name: str
    match: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    dialect: Literal["nemotron", "generic"] = "generic"
    strategy: Literal["agent", "repair"] = "agent"
    edit: Literal["str_replace", "whole"] = "str_replace"
    thinking: ThinkingProfile = field(default_factory=ThinkingProfile)
    max_tokens: int = 16384
    context: int = 32768
    notes: str = ""

    def fits(self, model_name: str) -> bool:
        return any(re.search(pattern, model_name, re.IGNORECASE) for pattern in self.match)


def profile_names() -> list[str]:
    """The profiles that ship, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_profile(name: str) -> Profile:
    """A profile that ships, by its name, or one's own by the path of its `.toml` file.

    Raises:
        ConfigError: no such profile, or the file is wrong; names the file and the key.
    """
    path = Path(name).expanduser() if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not name.endswith(".toml") and name not in profile_names():
        raise ConfigError(
            f"there is no model profile {name!r}",
            hint=f"known: {', '.join(profile_names())}; or the path of a .toml file of your own",
        )
    try:
        return _profile(tomllib.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as problem:
        raise ConfigError(f"cannot read the model profile {path}: {problem}") from problem


def match_profile(*model_names: str) -> Profile:
    """The first profile whose patterns fit one of the names (a server can serve a model under an alias)."""
    for name in profile_names():
        profile = load_profile(name)
        if any(profile.fits(model_name) for model_name in model_names):
            return profile
    return load_profile(GENERIC)


def _profile(data: dict[str, Any]) -> Profile:
    import msgspec

    _refuse_unknown_keys(data, Profile, "")
    _refuse_unknown_keys(data.get("thinking", {}), ThinkingProfile, "thinking.")
    profile = msgspec.convert(data, Profile)
    for pattern in profile.match:
        try:
            re.compile(pattern)
        except re.error as problem:
            raise ValueError(f"match: {pattern!r} is no regular expression: {problem}") from problem
    return profile


def _refuse_unknown_keys(data: object, kind: type, prefix: str) -> None:
    if isinstance(data, dict):
        known = {each.name for each in fields(kind)}
        for key in data:
            if key not in known:
                raise ValueError(f"unknown key {prefix}{key}; known: {', '.join(sorted(known))}")
