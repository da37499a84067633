"""Colours: what a style's name looks like in each theme. No colour says what a sign does not say too."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from coder.errors import UsageError

if TYPE_CHECKING:
    from rich.style import Style
    from textual.theme import Theme

MAX_BYTES = 64 * 1024
"""Of a user's theme file."""

_ROLES = (
    "faint",
    "accent",
    "good",
    "bad",
    "care",
    "soft",
    "word",
    "text_of",
    "comment_of",
    "kind",
    "plus",
    "minus",
)
_COLOURS = {
    "coder-dark": ("#8b95a5", "#7aa2f7", "#8fce6b", "#f7768e", "#e0af68", "#a9b1d6", "#bb9af7", "#9ece6a", "#7b8599",
                   "#7dcfff", "on #17331f", "on #3d1a22"),
    "coder-light": ("#5b6472", "#1d4ed8", "#166534", "#b3142f", "#8a5300", "#3f4654", "#6b21a8", "#14633d", "#5f6875",
                    "#075985", "on #d8f5df", "on #fbdde2"),
    "coder-contrast": ("#d0d0d0", "#66ccff", "#00ff66", "#ff6b6b", "#ffd700", "#ffffff", "#ff9cff", "#a6ff8f",
                       "#c8c8c8", "#7fffff", "on #004d1a", "on #660011"),
    "coder-terminal": ("dim", "blue", "green", "red", "yellow", "default", "magenta", "green", "dim", "cyan",
                       "", ""),
}  # fmt: skip
_STYLES = {
    "text": "",
    "dim": "{faint}",
    "title": "bold",
    "user": "bold",
    "user.sign": "bold {accent}",
    "heading": "bold {accent}",
    "strong": "bold",
    "emphasis": "italic",
    "struck": "strike",
    "link": "underline {accent}",
    "quote": "italic {soft}",
    "rule": "{faint}",
    "bullet": "{accent}",
    "thought": "italic {faint}",
    "running": "{care}",
    "tool": "bold",
    "tool.about": "{soft}",
    "output": "{faint}",
    "ok": "{good}",
    "error": "bold {bad}",
    "warning": "{care}",
    "plan.done": "strike {faint}",
    "code": "{soft}",
    "keyword": "{word}",
    "string": "{text_of}",
    "comment": "italic {comment_of}",
    "number": "{care}",
    "name": "{accent}",
    "builtin": "{kind}",
    "added": "{good} {plus}",
    "removed": "{bad} {minus}",
    "added.word": "bold underline {good} {plus}",
    "removed.word": "bold underline {bad} {minus}",
    "context": "{soft}",
    "hunk": "{kind}",
    "path": "bold {accent}",
    "match": "reverse",
    "match.now": "bold reverse {care}",
    "cursor": "bold {accent}",
}
NAMES = tuple(_COLOURS)
STYLES = tuple(_STYLES)


class Palette:
    """Rich styles by name. A name that nobody knows looks like text."""

    def __init__(self, styles: Mapping[str, Style]) -> None:
        from rich.style import Style

        self._styles = styles
        self._text = Style()

    def __getitem__(self, name: str) -> Style:
        return self._styles.get(name, self._text)


def palette(
    theme: str, *, dark: bool = True, colour: bool = True, own: Mapping[str, str] | None = None
) -> Palette:
    """The styles of `theme`; for a theme that is not of ours, those of our dark or light one. Without `colour`
    (NO_COLOR) weight, slant and underline are left. `own` are the user's, by name."""
    from rich.style import Style

    name = theme if theme in _COLOURS else "coder-terminal" if theme.startswith("ansi") else _plain(dark)
    roles = dict(zip(_ROLES, _COLOURS[name], strict=True))
    styles = {style: Style.parse(pattern.format(**roles)) for style, pattern in _STYLES.items()}
    styles |= {style: Style.parse(wish) for style, wish in (own or {}).items()}
    return Palette(styles if colour else {style: _colourless(found) for style, found in styles.items()})


def _plain(dark: bool) -> str:
    return "coder-dark" if dark else "coder-light"


def _colourless(style: Style) -> Style:
    from rich.style import Style

    return Style(
        bold=style.bold,
        italic=style.italic,
        underline=style.underline,
        strike=style.strike,
        reverse=style.reverse,
    )


def read_own(text: str) -> dict[str, str]:
    """The styles of a user's theme file: `name = "bold #rrggbb on #rrggbb"` under [styles]. Raises UsageError."""
    from rich.errors import StyleSyntaxError
    from rich.style import Style

    try:
        found = tomllib.loads(text).get("styles", {})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the theme file is no TOML: {error}") from error
    if not isinstance(found, dict):
        raise UsageError("`styles` of the theme file must be a table")
    for name, wish in found.items():
        if name not in _STYLES:
            raise UsageError(
                f"the theme file names a style {name!r}", hint=f"There are: {', '.join(STYLES)}."
            )
        try:
            Style.parse(wish if isinstance(wish, str) else "?")
        except StyleSyntaxError as error:
            raise UsageError(f"the theme file's {name} is no style: {error}") from error
    return found


@cache
def themes() -> tuple[Theme, ...]:
    """Our themes for the whole window, to be registered with the app."""
    from textual.theme import BUILTIN_THEMES, Theme

    def theme(name: str, background: str, foreground: str, surface: str, *, dark: bool) -> Theme:
        faint, accent, good, bad, care, *_ = _COLOURS[name]
        del faint
        return Theme(
            name=name, primary=accent, secondary=accent, accent=accent, success=good, error=bad, warning=care,
            background=background, foreground=foreground, surface=surface, panel=surface, dark=dark,
        )  # fmt: skip

    terminal = BUILTIN_THEMES["ansi-dark"]
    return (
        theme("coder-dark", "#11131a", "#d5d9e3", "#1a1d27", dark=True),
        theme("coder-light", "#fbfbfa", "#1c1f26", "#eceef1", dark=False),
        theme("coder-contrast", "#000000", "#ffffff", "#111111", dark=True),
        Theme(**{**vars(terminal), "name": "coder-terminal"}),
    )
