"""Plays a call as a server sends it through the code of a real run: the assembler, then the toolbox."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coder.model.assemble import Assembler
from coder.model.messages import Reply, ToolCall
from tools.base import ToolResult
from tools.standard import standard_toolbox

CORPUS = Path(__file__).with_name("corpus")
BOX = standard_toolbox("nemotron")
SCHEMAS: dict[str, dict[str, Any]] = {
    each["function"]["name"]: each["function"]["parameters"] for each in BOX.schemas()
}


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of the corpus.

    `where` is content, reasoning, pieces (the `tool_calls` of each chunk, as JSON) or arguments (of a native call
    of `name`). Either `calls` says what comes out, or `refusal` holds words of what the model is told instead of
    each call; no calls means that the text stays as it is.
    """

    id: str
    source: str
    where: str
    text: str
    name: str = "bash"
    finish: str = "stop"
    calls: list[dict[str, Any]] = field(default_factory=list)
    refusal: str = ""
    left: str | None = None

    def chunks(self, size: int) -> Iterator[dict[str, Any]]:
        match self.where:
            case "content" | "reasoning":
                for start in range(0, len(self.text), size):
                    yield chunk({self.where: self.text[start : start + size]})
            case "pieces":
                for pieces in json.loads(self.text):
                    yield chunk({"tool_calls": pieces})
            case "arguments":
                call: dict[str, Any] = {"name": self.name, "arguments": ""}
                yield chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": call}]})
                for start in range(0, len(self.text), size):
                    piece = {"arguments": self.text[start : start + size]}
                    yield chunk({"tool_calls": [{"index": 0, "function": piece}]})
        yield chunk({}, self.finish)


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def corpus() -> list[Case]:
    return [
        Case(**entry)
        for path in sorted(CORPUS.glob("*.toml"))
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
    ]


def reply_to(chunks: Iterator[dict[str, Any]]) -> Reply:
    numbers = itertools.count(1)
    assembler = Assembler(new_id=lambda: f"new{next(numbers)}")
    for each in chunks:
        assembler.feed(each)
    assembler.rest()
    return assembler.reply(known_tools=BOX.knows, schemas=SCHEMAS)


def outcome(call: ToolCall) -> dict[str, Any] | str:
    """The tool and the arguments that would run, or what the model is told instead."""
    if call.error:
        return call.error
    resolved = BOX.resolve(call.name, call.arguments)
    if isinstance(resolved, ToolResult):
        return resolved.text
    return {"name": resolved.tool.name, "arguments": resolved.arguments}
