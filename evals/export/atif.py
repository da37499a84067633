"""A journal as an ATIF trajectory, which Harbor's viewer and NeMo's tools read (ATIF-v1.8, as of Harbor 0.25)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coder import __version__, events
from coder.envelope import Spent
from coder.events import Event
from coder.journal import load

SCHEMA = "ATIF-v1.8"


def trajectory(journal: Path) -> dict[str, Any]:
    """The trajectory of the run in this journal, ready for JSON. Raises UsageError for a file that is no journal."""
    return of_events(load(journal))


def of_events(stream: Iterable[Event]) -> dict[str, Any]:
    """What the user and the system said, then a step for each answer, with what its tools returned."""
    writer = _Writer()
    for event in stream:
        writer.take(event)
    return writer.whole()


@dataclass(slots=True)
class _Writer:
    session: str = ""
    model: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)
    extra: dict[str, Any] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        match event:
            case events.RunStarted():
                self.session = event.run
            case events.Prepared() if event.model:
                self.model = event.model
            case events.ConversationStarted():
                self._step(event, "system", event.system)
            case events.UserMessage():
                self._step(event, "user", event.text)
            case events.Told():
                self._step(event, "user", event.text)
            case events.AssistantMessage():
                self._answer(event)
            case events.ToolFinished():
                self._observed(event)
            case events.RunFinished():
                self.extra = {"status": event.status, "reason": event.reason, "exit": event.exit}
                self.spent = event.spent
            case _:
                pass

    def _step(self, event: Event, source: str, message: str) -> dict[str, Any]:
        when = datetime.fromtimestamp(event.t, UTC).isoformat().replace("+00:00", "Z")
        step = {"step_id": len(self.steps) + 1, "timestamp": when, "source": source, "message": message}
        self.steps.append(step)
        return step

    def _answer(self, event: events.AssistantMessage) -> None:
        step = self._step(event, "agent", event.text)
        step["model_name"] = self.model
        if event.thinking:
            step["reasoning_content"] = event.thinking
        if event.calls:
            step["tool_calls"] = [
                {"tool_call_id": call.id, "function_name": call.name, "arguments": call.arguments}
                for call in event.calls
            ]
        step["metrics"] = {
            "prompt_tokens": event.spent.prompt_tokens,
            "completion_tokens": event.spent.completion_tokens,
            "cached_tokens": event.spent.cached_tokens,
        }

    def _observed(self, event: events.ToolFinished) -> None:
        """A result belongs to the step that asked for it."""
        for step in reversed(self.steps):
            if any(call["tool_call_id"] == event.call for call in step.get("tool_calls", ())):
                results = step.setdefault("observation", {"results": []})["results"]
                results.append({"source_call_id": event.call, "content": event.text})
                return

    def whole(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA,
            "session_id": self.session,
            "agent": {"name": "coder", "version": __version__, "model_name": self.model},
            "steps": self.steps,
            "final_metrics": {
                "total_prompt_tokens": self.spent.prompt_tokens,
                "total_completion_tokens": self.spent.completion_tokens,
                "total_cached_tokens": self.spent.cached_tokens,
                "total_steps": len(self.steps),
            },
            **({"extra": self.extra} if self.extra else {}),
        }
