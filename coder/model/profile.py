"""What we know of a model: sampling, dialect, strategy, edit format and thinking controls, one TOML file a model.

Profiles that ship lie in `profiles/` beside this module, the user's own in `~/.config/coder/profiles/`; a file's name is
the profile's. The user's own come first, by name and by match.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from coder.config import default_user_file
from coder.errors import ConfigError
from coder.model.thinking import Thinking

_FOLDER = Path(__file__).parent / "profiles"
GENERIC = "generic"
SMALL = "small-coder"


@dataclass(frozen=True, slots=True)
class ThinkingProfile:
    """How a model's reasoning is steered.

    `default` and `routine` are off, low, full or a number of tokens (`thinking.Thinking.parse` reads them): for
    diagnosis and after a failure, and for the steps between (empty: the same). `chat_template_kwargs` go with every
    request; `low` and `off` are laid over them in those modes. `fixed` lists modes that rewrite the prompt itself:
    switching to or from one within a run would void the server's prefix cache. `opens_in_prompt` says that the
    generation prompt already holds the opening tag. `keep_history`: thoughts go back with the history.
    """

    supports: bool = False
    default: str | int = "off"
    routine: str | int = ""
    fixed: tuple[Literal["off", "low", "full"], ...] = ()
    opens_in_prompt: bool = False
    keep_history: bool = False
    chat_template_kwargs: dict[str, bool | int | str] = field(default_factory=dict)
    low: dict[str, bool | int | str] = field(default_factory=dict)
    off: dict[str, bool | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """`temperature`, `top_p` and `top_k` of None are left to the server. Lengths in tokens; `context` is only used
    where the server does not tell. `extra` goes into every request body as it stands."""

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
    extra: dict[str, Any] = field(default_factory=dict)
    notes: str = ""

    def fits(self, model_name: str) -> bool:
        return any(re.search(pattern, model_name, re.IGNORECASE) for pattern in self.match)


def user_folder() -> Path:
    """Where the user's own profiles lie: beside the user's configuration file."""
    return default_user_file(os.environ).parent / "profiles"


def profile_names() -> list[str]:
    """All profiles, the user's own and those that ship, sorted."""
    return sorted({path.stem for path in _files()})


def load_profile(name: str) -> Profile:
    """A profile by its name, the user's own before those that ship, or by the path of its `.toml` file.

    Raises:
        ConfigError: no such profile, or the file (or one that it is based on) is wrong; names the file and the key.
    """
    if name.endswith(".toml"):
        return _load(Path(name).expanduser())
    path = _find(name)
    if path is None:
        raise ConfigError(
            f"there is no model profile {name!r}",
            hint=f"known: {', '.join(profile_names())}; or the path of a .toml file of your own",
        )
    return _load(path)


def match_profile(*model_names: str) -> Profile:
    """The first profile whose patterns fit one of the names (a server can serve a model under an alias).

    Raises:
        ConfigError: a profile of the user's own is wrong.
    """
    for path in _files():
        profile = _load(path)
        if any(profile.fits(model_name) for model_name in model_names):
            return profile
    return load_profile(GENERIC)


def _files() -> Iterator[Path]:
    for folder in (user_folder(), _FOLDER):
        yield from sorted(folder.glob("*.toml"))


def _find(name: str, *, not_among: tuple[Path, ...] = ()) -> Path | None:
    return next((path for path in _files() if path.stem == name and path not in not_among), None)


def _load(path: Path) -> Profile:
    try:
        changed = path.stat().st_mtime_ns
    except OSError as problem:
        raise _unreadable(path, problem) from problem
    return _loaded(path, changed)


@lru_cache(maxsize=256)
def _loaded(path: Path, changed: int) -> Profile:
    """A run asks for every model that a server lists: each file is read once, until it changes."""
    return _decoded(_table(path))


def _table(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What the file says, laid over what its `base` says: key by key, and within [thinking] key by key too.

    A file may be based on one of its own name: the user's own on the one that ships. `above` are the files that are
    based on this one.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8"))
        base = given.pop("base", None)
        _refuse_unknown_keys(given, Profile, "")
        _refuse_unknown_keys(given.get("thinking", {}), ThinkingProfile, "thinking.")
        if given.setdefault("name", path.stem) != path.stem:
            raise ValueError(f"name: {given['name']!r} must be the file's name, {path.stem!r}")
        if base is not None:
            given = _laid_over(_base(base, (*above, path)), given)
        _decoded(given)
    except (OSError, ValueError) as problem:
        raise _unreadable(path, problem) from problem
    return given


def _base(name: object, above: tuple[Path, ...]) -> dict[str, Any]:
    path = _find(name, not_among=above) if isinstance(name, str) else None
    if path is None:
        raise ValueError(f"base: there is no other profile {name!r}; known: {', '.join(profile_names())}")
    return _table(path, above)


def _laid_over(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    merged = {**base, **given}
    if isinstance(given.get("thinking"), dict):
        merged["thinking"] = {**base.get("thinking", {}), **given["thinking"]}
    return merged


def _decoded(data: dict[str, Any]) -> Profile:
    """Raises ValueError that names the key."""
    import msgspec

    profile = msgspec.convert(data, Profile)
    for pattern in profile.match:
        try:
            re.compile(pattern)
        except re.error as problem:
            raise ValueError(f"match: {pattern!r} is no regular expression: {problem}") from problem
    for key, level in (("default", profile.thinking.default), ("routine", profile.thinking.routine)):
        try:
            Thinking.parse(level or "off")
        except ConfigError as problem:
            raise ValueError(f"thinking.{key}: {problem}") from problem
    return profile


def _refuse_unknown_keys(data: object, kind: type, prefix: str) -> None:
    if isinstance(data, dict):
        known = {each.name for each in fields(kind)}
        for key in data:
            if key not in known:
                raise ValueError(f"unknown key {prefix}{key}; known: {', '.join(sorted(known))}")


def _unreadable(path: Path, problem: Exception) -> ConfigError:
    return ConfigError(f"cannot read the model profile {path}: {problem}")
