"""Source text in semantic styles. Only lexers of a short list, and only so much text: the text is hostile."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from coder.transcript.line import Line, Segment

if TYPE_CHECKING:
    from pygments.lexer import Lexer

MAX_CHARACTERS = 12_000
MAX_LINES = 200
MAX_LINE = 1_000
"""Characters, lines, and characters of a line beyond which text stays plain: lexers are regular expressions, and those
of the C family take 13 s for 19,000 empty lines."""

_LEXERS = {
    "python": "python py python3 pycon",
    "bash": "bash sh shell zsh console",
    "json": "json jsonc",
    "yaml": "yaml yml",
    "toml": "toml",
    "diff": "diff patch",
    "javascript": "javascript js jsx mjs",
    "typescript": "typescript ts tsx",
    "c": "c h",
    "cpp": "cpp c++ cc hpp",
    "go": "go golang",
    "rust": "rust rs",
    "java": "java",
    "sql": "sql",
    "ini": "ini cfg",
}
_NAMES = {alias: name for name, aliases in _LEXERS.items() for alias in aliases.split()}


def highlighted(code: str, language: str) -> list[Line]:
    """The lines of `code`, which must be visible text; `language` is a name or a file's suffix."""
    name = _NAMES.get(language.lower().lstrip("."))
    rows = code.split("\n")
    if name is None or len(code) > MAX_CHARACTERS or len(rows) > MAX_LINES or max(map(len, rows)) > MAX_LINE:
        return [((text, "code"),) if text else () for text in rows]
    lines: list[Line] = []
    row: list[Segment] = []
    for kind, text in _lexer(name).get_tokens(code):
        style = _style(str(kind))
        for number, part in enumerate(text.split("\n")):
            if number:
                lines.append(tuple(row))
                row = []
            if part and row and row[-1][1] == style:
                row[-1] = row[-1][0] + part, style
            elif part:
                row.append((part, style))
    lines.append(tuple(row))
    return lines[: len(rows)] + [()] * (len(rows) - len(lines))


@cache
def _lexer(name: str) -> Lexer:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(name, stripnl=False, ensurenl=False)


@cache
def _style(kind: str) -> str:
    for beginning, style in _STYLES:
        if kind.startswith(beginning):
            return style
    return "code"


_STYLES = (
    ("Token.Keyword", "keyword"),
    ("Token.Operator.Word", "keyword"),
    ("Token.Literal.String", "string"),
    ("Token.Comment", "comment"),
    ("Token.Literal.Number", "number"),
    ("Token.Name.Function", "name"),
    ("Token.Name.Class", "name"),
    ("Token.Name.Decorator", "name"),
    ("Token.Name.Tag", "keyword"),
    ("Token.Name.Builtin", "builtin"),
    ("Token.Generic.Inserted", "added"),
    ("Token.Generic.Deleted", "removed"),
    ("Token.Generic.Subheading", "hunk"),
)
