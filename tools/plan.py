"""The model's plan: replaced as a whole, ticked off, rendered one line a step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sandbox.text import clean_text
from tools.base import Arguments, Context, Step, ToolResult, describe, parameters
from tools.text import clip, words

_STEPS = 20
_WIDTH = 160
_BOX = re.compile(
    r"^\s*(?:[-*]|\d+[.)])?\s*(?:\[(?P<tick>[ xX✓✔]?)\]|(?P<mark>[✓✔☑]|[☐○]))?\s*(?P<text>.*)$", re.DOTALL
)
_TEXT_KEYS = ("text", "step", "title", "content", "description", "task", "name")
_DONE_WORDS = words("true done completed complete finished yes x")


class Plan:
    name = "plan"
    parameters = parameters(
        ("steps",),
        steps={
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "done": {"type": "boolean"}},
            },
        },
    )

    @property
    def description(self) -> str:
        return describe("plan")

    async def run(self, args: Arguments, context: Context) -> ToolResult:
        steps = parse_steps(args["steps"])
        if not steps:
            return ToolResult("`steps` holds no step.", ok=False)
        context.plan = steps
        left_out = len(args["steps"]) - len(steps)
        note = f"\n[only {_STEPS} steps are kept]" if len(steps) == _STEPS and left_out > 0 else ""
        return ToolResult(render(steps) + note, plan=steps)


def parse_steps(items: Sequence[Any]) -> tuple[Step, ...]:
    """At most 20 steps from lines, ticked or not, or from objects; what holds no text is passed over."""
    return tuple(step for item in items if (step := _step(item)).text)[:_STEPS]


def render(steps: tuple[Step, ...]) -> str:
    return "\n".join(f"[{'x' if step.done else ' '}] {step.text}" for step in steps)


def _step(item: Any) -> Step:
    """A step from text, with or without a tick box, or from an object under any of the usual keys."""
    if isinstance(item, dict):
        text = next((str(item[key]) for key in _TEXT_KEYS if item.get(key)), "")
        done = next((item[key] for key in ("done", "completed", "status", "state") if key in item), False)
        return Step(_line(text), str(done).lower() in _DONE_WORDS)
    parts = _BOX.match(str(item))
    if parts is None:
        return Step("")
    ticked = (parts["tick"] or "").strip() or (parts["mark"] or "") in set("✓✔☑")
    return Step(_line(parts["text"]), bool(ticked and parts["mark"] not in ("☐", "○")))


def _line(text: str) -> str:
    return clip(" ".join(clean_text(text).split()), _WIDTH)
