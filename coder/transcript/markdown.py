"""Markdown as lines. Links show where they lead, images are their words, HTML is text."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from coder.transcript.line import (
    FLOWING,
    NARROWEST,
    Line,
    Look,
    Segment,
    cells,
    clip,
    plain,
    width_of,
    wrap,
)
from coder.transcript.safe import visible
from coder.transcript.syntax import highlighted

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

MAX_COLUMNS = 12
"""Of a table; the others are left out, with a sign."""
MAX_DEPTH = 6
"""Of lists and quotes: deeper ones are not indented further."""


def markdown(text: str, width: int, look: Look) -> list[Line]:
    """The lines of `text`, which must be visible text, without a blank line at either end."""
    from markdown_it.tree import SyntaxTreeNode

    return _Page(look).children(SyntaxTreeNode(_parser().parse(text)), width, 0)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


class _Page:
    def __init__(self, look: Look) -> None:
        self._look = look
        self._glyphs = look.glyphs

    def children(self, node: SyntaxTreeNode, width: int, depth: int, *, tight: bool = False) -> list[Line]:
        lines: list[Line] = []
        for child in node.children:
            drawn = self._block(child, max(width, NARROWEST), depth)
            if lines and drawn and not tight:
                lines.append(())
            lines += drawn
        return lines

    def _block(self, node: SyntaxTreeNode, width: int, depth: int) -> list[Line]:
        match node.type:
            case "heading":
                marks = "#" * int(node.tag[1:]) + " "
                return wrap(
                    self._inline(node, "heading"), width, ((marks, "dim"),), ((" " * len(marks), "text"),)
                )
            case "paragraph":
                return wrap(self._inline(node, "text"), width)
            case "fence" | "code_block":
                return code_lines(visible(node.content.removesuffix("\n")), node.info, width)
            case "bullet_list" | "ordered_list":
                return self._list(node, width, depth)
            case "blockquote":
                return self._quote(node, width, depth)
            case "hr":
                return [((self._glyphs.rule * (3 if width >= FLOWING else min(width, 24)), "rule"),)]
            case "table":
                return self._table(node, width)
            case _:
                return wrap([(visible(node.content or ""), "text")], width)

    def _list(self, node: SyntaxTreeNode, width: int, depth: int) -> list[Line]:
        number = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
        tight = all(
            child.hidden for item in node.children for child in item.children if child.type == "paragraph"
        )
        lines: list[Line] = []
        for item in node.children:
            sign = f"{self._glyphs.bullet} " if number is None else f"{number}. "
            room = width - cells(sign) if depth < MAX_DEPTH else width
            drawn = self.children(item, room, depth + 1, tight=tight) or [()]
            if lines and not tight:
                lines.append(())
            indent: Line = ((" " * cells(sign), "text"),) if depth < MAX_DEPTH else ()
            lines.append(((sign, "bullet"), *drawn[0]))
            lines += [(*indent, *line) for line in drawn[1:]]
            number = None if number is None else number + 1
        return lines

    def _quote(self, node: SyntaxTreeNode, width: int, depth: int) -> list[Line]:
        if depth >= MAX_DEPTH:
            return self.children(node, width, depth + 1)
        bar = f"{self._glyphs.bar or '>'} "
        drawn = self.children(node, width - cells(bar), depth + 1)
        return [
            ((bar, "rule"), *((text, "quote" if style == "text" else style) for text, style in line))
            for line in drawn
        ]

    def _table(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        rows = [
            [
                self._inline(cell, "strong" if cell.type == "th" else "text")
                for cell in row.children[:MAX_COLUMNS]
            ]
            for part in node.children
            for row in part.children
        ]
        count = max(map(len, rows), default=0)
        rows = [row + [()] * (count - len(row)) for row in rows]
        room = width - 2 * (count - 1)
        if count == 0 or room < 4 * count:
            return [line for row in rows for cell in row for line in wrap(cell, width)]
        widths = _shares([max(width_of(row[column]) for row in rows) for column in range(count)], room)
        lines: list[Line] = []
        for number, row in enumerate(rows):
            lines += _row(row, widths)
            if number == 0:
                rules = [self._glyphs.rule * min(share, 12 if width >= FLOWING else 200) for share in widths]
                lines.append((("  ".join(rules), "rule"),))
        return lines

    def _inline(self, node: SyntaxTreeNode, style: str) -> Line:
        found: list[Segment] = []
        for child in node.children:
            self._span(child, style, found)
        return tuple(found)

    def _span(self, node: SyntaxTreeNode, style: str, found: list[Segment]) -> None:
        match node.type:
            case "text" | "text_special":
                found.append((visible(node.content), style))
            case "code_inline":
                found.append((visible(node.content), "code"))
            case "softbreak":
                found.append((" ", style))
            case "hardbreak":
                found.append(("\n", style))
            case "image":
                found.append((visible(f"[image: {node.content}]"), style))
                found.append((visible(f" ({node.attrs.get('src', '')})"), "link"))
            case "link":
                self._link(node, style, found)
            case _:
                inner = {"strong": "strong", "em": "emphasis", "s": "struck"}.get(node.type, style)
                for child in node.children:
                    self._span(child, inner, found)

    def _link(self, node: SyntaxTreeNode, style: str, found: list[Segment]) -> None:
        """The words and, where they differ, the address: words can lie."""
        begin = len(found)
        for child in node.children:
            self._span(child, "link", found)
        said, address = plain(tuple(found[begin:])), visible(str(node.attrs.get("href", "")))
        if said != address:
            found.append((f" ({address})", "dim"))


def code_lines(code: str, info: str, width: int) -> list[Line]:
    """A block of code: indented, broken anywhere, never reflowed."""
    language = info.split()[0] if info.split() else ""
    indent: Line = (("  ", "code"),)
    return [
        row
        for line in highlighted(code, language)
        for row in wrap(line, width, indent, (("    ", "code"),), words=False)
    ]


def _shares(natural: list[int], room: int) -> list[int]:
    """Widths for columns: what they want, as long as all fit; the widest give way."""
    widths = [max(1, wanted) for wanted in natural]
    left, shares = room, [0] * len(widths)
    for place, (wanted, column) in enumerate(
        sorted((wanted, column) for column, wanted in enumerate(widths))
    ):
        shares[column] = max(2, min(wanted, left // (len(widths) - place)))
        left -= shares[column]
    return shares


def _row(row: list[Line], widths: list[int]) -> list[Line]:
    columns = [wrap(cell, share) for cell, share in zip(row, widths, strict=True)]
    lines: list[Line] = []
    for number in range(max(map(len, columns))):
        line: list[Segment] = []
        for column, share in zip(columns, widths, strict=True):
            part = column[number] if number < len(column) else ()
            line += [*part, (" " * max(0, share - width_of(part) + 2), "text")]
        lines.append(tuple(line[:-1]))
    return lines


def one_line(text: str, room: int) -> str:
    """`text` clipped to `room` columns, as one line."""
    return clip(visible(" ".join(text.split())), room)
