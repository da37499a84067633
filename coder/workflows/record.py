"""The record of a run: `evidence.json` for programs and `evidence.md` for people, beside the patch.

Made from the events alone, so that the same record can be had again from a journal.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import msgspec

from coder import events
from coder.events import Event, RunFinished
from coder.workflows.deliver import PATCH_FILE
from coder.workflows.record_page import as_markdown

VERSION = 1
JSON_FILE = "evidence.json"
PAGE_FILE = "evidence.md"


class Recorder:
    """A sink: writes both files into `folder` when a run ends with a patch. Raises OSError."""

    def __init__(self, folder: Path, test: str = "") -> None:
        """`test` is the repository's own test command, empty for pytest."""
        self._folder = folder
        self._test = test
        self._started = events.RunStarted(task="", workflow="", repository="")
        self._prepared = events.Prepared()
        self._spent: events.BudgetSpent | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case events.RunStarted():
                self._started, self._spent = event, None
            case events.Prepared() if event.model:
                self._prepared = event
            case events.BudgetSpent():
                self._spent = event
            case RunFinished() if event.patch:
                record = self.record(event)
                _write(self._folder / JSON_FILE, json.dumps(record, indent=2) + "\n")
                _write(self._folder / PAGE_FILE, as_markdown(record))
            case _:
                pass

    def record(self, finished: RunFinished) -> dict[str, Any]:
        """Everything that speaks for or against the patch, as plain data."""
        started, prepared = self._started, self._prepared
        return {
            "version": VERSION,
            "run": finished.run,
            "task": started.task,
            "workflow": started.workflow,
            "status": finished.status,
            "reason": finished.reason,
            "sentence": finished.sentence,
            "summary": finished.summary,
            "base": started.base,
            "model": {
                "name": prepared.model,
                "server": prepared.server,
                "profile": prepared.profile,
                "strategy": prepared.strategy,
                "context_length": prepared.context_length,
            },
            **finished.evidence,
            "budgets": self._budgets(finished),
            "reproduce": _reproduction(started.base, finished.evidence, self._test),
        }

    def _budgets(self, finished: RunFinished) -> dict[str, Any]:
        """Spent and allowed; an allowance of 0 is no cap."""
        told = self._spent
        caps = {name: list(getattr(told, name)) for name in ("turns", "tokens", "seconds")} if told else {}
        spent = msgspec.to_builtins(finished.spent)
        elapsed = finished.timings.get("seconds", 0.0)
        return {**caps, "spent": spent, "thinking": finished.thinking, "elapsed": elapsed}


def _reproduction(base: str, evidence: dict[str, Any], test: str) -> list[str]:
    """Commands for a shell at the top of a clean checkout."""
    before = evidence.get("tests_before") or {}
    named = [] if test else before.get("failing", [])[:5]
    command = test or shlex.join(["python", "-m", "pytest", *named])
    checkout = [f"git checkout {shlex.quote(base)}"] if base else []
    return [*checkout, command, f"git apply {PATCH_FILE}", command]


def _write(path: Path, text: str) -> None:
    whole = path.with_name(f".{path.name}.{os.getpid()}")
    whole.write_text(text, encoding="utf-8", errors="replace")
    whole.replace(path)
