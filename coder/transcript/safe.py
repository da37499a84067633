"""Hostile text made safe and measurable: what a line may hold, and nothing else."""

from __future__ import annotations

import re
from functools import cache

from sandbox.text import clean_text

MAX_MARKS = 4
"""Combining marks on one character; more would climb over the lines around it."""

_HIDDEN = (
    0x00AD, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x200E),
    *range(0x2060, 0x2066), *range(0x206A, 0x2070), 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0,
    *range(0xFFF0, 0xFFFC), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0080, 0xE1000),
)  # fmt: skip
"""Characters without a picture (Unicode's Default_Ignorable_Code_Point), beyond those that `clean_text` names."""

_PICTURES = "\u00a9\u00ae\u203c\u2049\u2100-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_SELECTED = re.compile(f"(?<=[{_PICTURES}])\ufe0f|(?<=[0-9#*])\ufe0f(?=\u20e3)")
_JOINED = re.compile(f"(?<=[{_PICTURES}])\u200d(?=[{_PICTURES}])")


def visible(text: str) -> str:
    """`text` as it may stand in a line: printable characters and newlines alone.

    Tabs become spaces; what steers, hides or joins becomes its code. Emoji keep their parts, side by side, so that
    every character's width is its own. The result is a fixed point: visible(visible(x)) == visible(x).
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    if "\t" in text:
        text = text.expandtabs(4)
    text = clean_text(text)
    if text.isascii():
        return text
    text = _JOINED.sub("", _SELECTED.sub("", text)).translate(_hidden())
    return _with_few_marks(text) if max(text, default="") >= "\u0300" else text


def first_line(text: str, limit: int = 400) -> str:
    """The beginning of `text` as one line: runs of blanks are one space."""
    return visible(" ".join(text[: 4 * limit].split()))[:limit]


def _with_few_marks(text: str) -> str:
    """No mark without a character to stand on, and no tower of them."""
    from rich.cells import get_character_cell_size as size

    kept: list[str] = []
    marks = 0
    based = False
    for character in text:
        if character == "\n":
            based = False
        elif character.isascii() or size(character):
            based, marks = True, 0
        else:
            marks += 1
            if marks > MAX_MARKS:
                continue
            if not based:
                kept.append("\u25cc")
                based = True
        kept.append(character)
    return "".join(kept)


@cache
def _hidden() -> dict[int, str]:
    return {code: f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}" for code in _HIDDEN}
