"""A user's own theme: `themes/NAME.toml` beside the configuration file.

base = "coder-dark"                # whose colours it has where it names none of its own
[window]
background = "#101018"             # and foreground, surface, accent, success, error, warning
[styles]
"user.sign" = "bold #ffcc00"       # what the transcript's styles look like
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coder.errors import ConfigError, UsageError
from coder.tui.theme import MAX_BYTES, NAMES, read_own, themes

if TYPE_CHECKING:
    from textual.theme import Theme

_COLOURS = {
    "background": "background",
    "foreground": "foreground",
    "surface": "surface",
    "accent": "accent",
    "success": "success",
    "error": "error",
    "warning": "warning",
}


@dataclass(frozen=True, slots=True)
class Own:
    """The theme for the window, and the styles that differ from its base's."""

    theme: Theme
    base: str
    styles: dict[str, str] = field(default_factory=dict)


def names(folder: Path) -> list[str]:
    """The themes in `folder`."""
    return sorted(path.stem for path in folder.glob("*.toml")) if folder.is_dir() else []


def read(folder: Path, name: str) -> Own:
    """Raises ConfigError, which names the file and the key, for a theme that cannot be read."""
    path, called = folder / f"{name}.toml", f"themes/{name}.toml"
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{called} cannot be read: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{called} is longer than {MAX_BYTES} bytes")
    try:
        return _made(text.decode(), name)
    except (ConfigError, UsageError) as error:
        raise ConfigError(f"{called}: {error}", hint=error.hint) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{called}: {error}") from error


def _made(text: str, name: str) -> Own:
    from textual.theme import Theme

    found = tomllib.loads(text)
    if unknown := sorted(set(found) - {"base", "window", "styles"}):
        raise ConfigError(
            f"{unknown[0]}: there is no such key", hint="There are base, [window] and [styles]."
        )
    base = found.get("base", NAMES[0])
    if base not in NAMES:
        raise ConfigError(f"base: there is no theme {base!r}", hint=f"There are {', '.join(NAMES)}.")
    theme = next(theme for theme in themes() if theme.name == base)
    colours = _colours(found.get("window", {}))
    return Own(Theme(**{**vars(theme), "name": name, **colours}), base, read_own(text))


def _colours(window: Any) -> dict[str, str]:
    from textual.color import Color, ColorParseError

    if not isinstance(window, dict):
        raise ConfigError("window: must be a table")
    for key, colour in window.items():
        if key not in _COLOURS:
            raise ConfigError(
                f"window.{key}: there is no such colour", hint=f"There are {', '.join(_COLOURS)}."
            )
        try:
            Color.parse(colour if isinstance(colour, str) else "?")
        except ColorParseError as error:
            raise ConfigError(f"window.{key}: {colour!r} is no colour") from error
    named = {_COLOURS[key]: colour for key, colour in window.items()}
    if "accent" in named:
        named |= {"primary": named["accent"], "secondary": named["accent"]}
    if "surface" in named:
        named["panel"] = named["surface"]
    return named
