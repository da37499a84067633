"""A transcript as one page of HTML that asks for nothing: no script, no link, no picture, no font."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from html import escape
from importlib.resources import files

from coder.transcript.block import Block
from coder.transcript.line import FLOWING, UNICODE, Line, Look
from coder.transcript.model import TranscriptModel, apart
from coder.transcript.safe import first_line

_LOOK = Look(glyphs=replace(UNICODE, bar="", unfolded=""), split=0, whole=True)
_FOLDED = {"thought", "tool", "tests", "plan"}
"""Kinds whose first line is all that is seen until somebody opens them."""


def as_page(model: TranscriptModel, title: str) -> str:
    """The page. Everything in it is text: whatever a model or a program said, nothing of it becomes markup."""
    style = files("coder.transcript").joinpath("page.css").read_text(encoding="utf-8")
    before = ""
    parts = []
    for block in model.blocks:
        parts.append(_section(block, standing_apart=apart(before, block.kind)))
        before = block.kind
    return document(title, style, "".join(parts))


def document(title: str, style: str, body: str) -> str:
    """A page around `body`, which is markup already. It may load nothing and run nothing."""
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; img-src data:; base-uri 'none'; form-action 'none'"
    name = escape(first_line(title))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{name}</title>\n<style>{style}</style>\n</head>\n<body>\n<header><h1>{name}</h1></header>\n<main>\n"
        f"{body}</main>\n<footer>Written by coder. This page loads nothing.</footer>\n</body>\n</html>\n"
    )


def _section(block: Block, *, standing_apart: bool) -> str:
    lines = block.lines(FLOWING, _LOOK)
    if not lines:
        return ""
    head, rest = _row(lines[0]), "\n".join(map(_row, lines[1:]))
    kind = f"block-{escape(block.kind)}" + (" apart" if standing_apart else "")
    if not rest:
        body = f"<pre>{head}</pre>"
    elif block.kind in _FOLDED:
        body = f"<details{_open(block)}><summary>{head}</summary><pre>{rest}</pre></details>"
    else:
        body = f"<pre>{head}\n{rest}</pre>"
    return f'<section class="{kind}">{body}</section>\n'


def _open(block: Block) -> str:
    """Changes and failures are open: they are what people look for."""
    telling = block.source.startswith("--- ") or getattr(block, "state", "ok") != "ok" or block.kind == "plan"
    return " open" if telling else ""


def _row(line: Line) -> str:
    return "".join(
        f'<span class="{style.replace(".", "-")}">{escape(text)}</span>' if style != "text" else escape(text)
        for text, style in line
    )
