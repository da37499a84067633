"""A transcript as Markdown, for people to keep and to send on."""

from __future__ import annotations

import re

from coder.transcript.block import Block
from coder.transcript.line import FLOWING, Look, plain
from coder.transcript.model import TranscriptModel
from coder.transcript.safe import visible

_LOOK = Look(split=0, numbers=FLOWING * 2)
_FENCES = re.compile(r"`{3,}")


def as_markdown(model: TranscriptModel) -> str:
    """The whole transcript. What was said in Markdown stays so; what tools said is fenced, longer than any fence in it."""
    parts = [part for block in model.blocks if (part := _part(block))]
    return "\n\n".join(parts) + "\n"


def _part(block: Block) -> str:
    match block.kind:
        case "user":
            return "\n".join(f"> {line}".rstrip() for line in visible(block.source).split("\n"))
        case "text" | "proposal":
            return visible(block.source).strip("\n")
        case "thought":
            return (
                f"<details><summary>Thought</summary>\n\n{fenced(block.source)}\n\n</details>"
                if block.source.strip()
                else ""
            )
        case "tool" | "diff" | "ending":
            head = plain(block.lines(FLOWING, _LOOK)[0])
            return f"**{_escaped(head)}**\n\n{fenced(block.source, 'diff' if is_diff(block.source) else '')}"
        case _:
            return "\n".join(
                f"- {_escaped(plain(line).strip())}" for line in block.lines(FLOWING, _LOOK) if line
            )


def is_diff(text: str) -> bool:
    return text.startswith(("--- ", "diff --git "))


def fenced(text: str, info: str = "") -> str:
    """`text` in a fence that nothing in it can close."""
    marks = max((len(found) for found in _FENCES.findall(text)), default=2) + 1
    fence = "`" * max(3, marks)
    return f"{fence}{info}\n{visible(text).removesuffix(chr(10))}\n{fence}"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)
