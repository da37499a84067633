"""Text on its way to a model: hostile bytes made harmless, long output cut at birth."""

from __future__ import annotations

import re

from sandbox.base import Result
from sandbox.text import clean_text

HEAD = 5_000
TAIL = 5_000
"""Characters kept of a command's output. mini-swe-agent's measured choice: 10,000, half from each end."""

# ECMA-48 control sequences: CSI, the string kinds (OSC, DCS, SOS, PM, APC), and two-character escapes.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


def words(text: str) -> frozenset[str]:
    """A set of words written as one line."""
    return frozenset(text.split())


def clean(text: str) -> str:
    """Terminal sequences removed, overwritten progress lines dropped, other control characters made visible."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    if "\r" in text:
        text = "\n".join(_last_overwrite(line) for line in text.split("\n"))
    return clean_text(text)


def clip(line: str, width: int) -> str:
    """One line, at most `width` characters, the cut marked."""
    return line if len(line) <= width else line[: width - 1] + "…"


def counted(lines: int) -> str:
    return f"{lines} line{'' if lines == 1 else 's'}"


def cut(text: str, *, head: int = HEAD, tail: int = TAIL) -> str:
    """At most about `head + tail` characters: both ends, cut at line borders, the gap named."""
    if len(text) <= head + tail:
        return text
    first, last = _head(text, head), _tail(text, tail)
    return f"{first}\n{_gap(text[len(first) : len(text) - len(last)])}\n{last}"


def of_result(result: Result, *, head: int = HEAD, tail: int = TAIL) -> tuple[str, bool]:
    """A command's output for the model, and whether something was left out."""
    missing = result.total_bytes - len(result.head) - len(result.tail)
    if missing <= 0:
        whole = clean((result.head + result.tail).decode("utf-8", "replace"))
        shown = cut(whole, head=head, tail=tail)
        return shown, shown is not whole
    first = _head(clean(result.head.decode("utf-8", "replace")), head)
    last = _tail(clean(result.tail.decode("utf-8", "replace")), tail)
    left_out = max(0, result.total_bytes - len(first.encode()) - len(last.encode()))
    return f"{first}\n[… about {left_out} bytes left out …]\n{last}", True


def _last_overwrite(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part), "")


def _head(text: str, size: int) -> str:
    """The first `size` characters, without a broken last line unless that line is most of them."""
    if len(text) <= size:
        return text
    border = text.rfind("\n", size // 2, size)
    return text[: border if border >= 0 else size]


def _tail(text: str, size: int) -> str:
    if len(text) <= size:
        return text
    border = text.find("\n", len(text) - size, len(text) - size // 2)
    return text[border + 1 if border >= 0 else len(text) - size :]


def _gap(missing: str) -> str:
    lines = missing.count("\n")
    return f"[… {lines} lines left out …]" if lines > 1 else f"[… {len(missing)} characters left out …]"
