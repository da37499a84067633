"""Making hostile text safe to show."""

from __future__ import annotations

from functools import cache

__all__ = ["clean_text"]


def clean_text(text: str) -> str:
    """`text` with everything that could steer a terminal or hide its meaning replaced by something visible.

    Control characters other than newline and tab become their pictures (ESC is ␛) or their code (`\\x9b`);
    marks of direction, line separators, invisible tags and lone surrogates become their code (`\\u202e`).
    """
    return text if text.isascii() and text.isprintable() else text.translate(_table())


@cache
def _table() -> dict[int, str]:
    table = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    table[0x7F] = "\u2421"
    table |= {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
    # bidirectional controls (Unicode 15, Bidi_Control) and the line and paragraph separators
    directions = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029]
    table |= {code: f"\\u{code:04x}" for code in [*directions, *range(0xD800, 0xE000)]}
    return table | {code: f"\\U{code:08x}" for code in range(0xE0000, 0xE0080)}
