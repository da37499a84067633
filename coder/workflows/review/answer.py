"""What a reviewer may answer: one call of one tool, read leniently where nothing is lost by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from coder.model.messages import Reply

TOOL = "report_review"
MAX_FINDINGS = 12
MAX_TEXT = 1500
Severity = Literal["error", "warning", "note"]
_SEVERITIES = ("error", "warning", "note")

SCHEMA: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": TOOL,
        "description": "The outcome of the review.",
        "parameters": {
            "type": "object",
            "required": ["verdict", "findings"],
            "properties": {
                "verdict": {"type": "string", "enum": ["APPROVE", "REQUEST_CHANGES"]},
                "summary": {"type": "string", "description": "One sentence."},
                "findings": {
                    "type": "array",
                    "description": "Empty when nothing is wrong.",
                    "items": {
                        "type": "object",
                        "required": ["file", "line", "severity", "reason", "quote"],
                        "properties": {
                            "file": {"type": "string"},
                            "line": {"type": "integer", "description": "The line's number after the change."},
                            "severity": {"type": "string", "enum": list(_SEVERITIES)},
                            "reason": {
                                "type": "string",
                                "description": "What is wrong, in one or two sentences.",
                            },
                            "quote": {"type": "string", "description": "The changed line, copied exactly."},
                            "command": {
                                "type": "string",
                                "description": "Fails because of this finding, and worked before the change.",
                            },
                        },
                    },
                },
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class Claim:
    """One finding as a reviewer words it; nothing of it is checked."""

    file: str
    line: int
    severity: Severity
    reason: str
    quote: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One review. `requests` says that it wants changes."""

    requests: bool
    claims: tuple[Claim, ...] = ()
    summary: str = ""


def read(reply: Reply) -> Answer | None:
    """The review in a reply; None when there is none that could be read."""
    for call in reply.calls:
        if call.name == TOOL and isinstance(call.arguments, Mapping):
            return _answer(call.arguments)
    return None


def _answer(found: Mapping[str, Any]) -> Answer | None:
    verdict = str(found.get("verdict", "")).strip().upper().replace(" ", "_")
    if verdict not in ("APPROVE", "APPROVED", "REQUEST_CHANGES"):
        return None
    items = found.get("findings")
    listed = items if isinstance(items, Sequence) and not isinstance(items, str) else ()
    claims = tuple(_claims(listed))[:MAX_FINDINGS]
    return Answer(verdict == "REQUEST_CHANGES", claims, _text(found.get("summary")))


def _claims(items: Sequence[Any]) -> Iterator[Claim]:
    for item in items:
        if not isinstance(item, Mapping) or not _text(item.get("reason")):
            continue
        severity = str(item.get("severity", "")).lower()
        yield Claim(
            file=_text(item.get("file")).removeprefix("/workspace/").removeprefix("./"),
            line=_number(item.get("line")),
            severity=cast("Severity", severity if severity in _SEVERITIES else "warning"),
            reason=_text(item.get("reason")),
            quote=_text(item.get("quote")),
            command=_text(item.get("command")),
        )


def _number(value: Any) -> int:
    try:
        return max(0, int(value))
    except (TypeError, ValueError):
        return 0


def _text(value: Any) -> str:
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""
