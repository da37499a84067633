"""Carrying on from a thought that the client closed, in the way that each server accepts.

| way | what is sent after the conversation | seen |
|---|---|---|
| flag | an assistant message `<think>…</think>`, `continue_final_message`, no generation prompt | vLLM 0.32, run |
| flag-bare | the same without `<think>`: the generation prompt has it already | SGLang 0.5.23, source |
| parts | an assistant message with the thought as `reasoning_content`, `continue_final_message: "content"` | llama.cpp b11549, run |

Where no way is known, or the known one is refused, the same turn is asked for again with thinking off: the server has
the whole prompt cached, only the thoughts are lost.
"""

from __future__ import annotations

from typing import Any

from coder.model.backends import Backend
from coder.model.thinking import CLOSE, OPEN


def closed(thought: str) -> str:
    """The thought up to the end of its last whole line; all of it where that would lose more than half."""
    lines, _, _ = thought.rpartition("\n")
    return (lines if len(lines) * 2 > len(thought) else thought).strip()


def continued(body: dict[str, Any], thought: str, backend: Backend) -> dict[str, Any]:
    """`body` with the closed `thought`, which is not empty, at the end of its messages, to carry on from."""
    whole = {"role": "assistant", "content": f"{OPEN}\n{thought}\n{CLOSE}\n"}
    match backend.traits.continues:
        case "flag":  # both switches are needed: with a generation prompt too, vLLM answers 400
            return _ending_in(body, whole, continue_final_message=True, add_generation_prompt=False)
        case "flag-bare":
            bare = whole | {"content": f"{thought}\n{CLOSE}\n"}
            return _ending_in(body, bare, continue_final_message=True)
        case (
            "parts"
        ):  # `true` would leave the thought open; a `<think>` in the content would follow an empty one
            parts = {"role": "assistant", "content": "", "reasoning_content": thought}
            return _ending_in(body, parts, continue_final_message="content", add_generation_prompt=False)
    raise AssertionError(f"{backend} cannot carry on")


def _ending_in(body: dict[str, Any], message: dict[str, Any], **switches: object) -> dict[str, Any]:
    return body | {"messages": [*body["messages"], message]} | switches
