"""Predictions, as the official harness reads and writes them: who says what change solves which instance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coder.errors import UsageError
from evals.folder import RunFolder, write_whole
from evals.result import Result


@dataclass(frozen=True, slots=True)
class Prediction:
    instance: str
    model: str
    patch: str


def read(path: Path) -> dict[str, Prediction]:
    """A .jsonl, or a .json list or object by id (swebench 5.0.2 takes the same). Raises UsageError."""
    try:
        text = path.read_text("utf-8", "surrogateescape")
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            found = json.loads(text)
            rows = list(found.values()) if isinstance(found, dict) else found
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: is no JSON: {error}") from error
    predictions = [_prediction(row, f"{path}, item {number}") for number, row in enumerate(rows, 1)]
    return {each.instance: each for each in predictions}


def _prediction(row: Any, where: str) -> Prediction:
    if not isinstance(row, Mapping) or not isinstance(row.get("instance_id"), str):
        raise UsageError(f"{where}: has no instance_id")
    patch = row.get("model_patch", row.get("patch")) or ""
    if not isinstance(patch, str):
        raise UsageError(f"{where}: model_patch must be text")
    return Prediction(
        row["instance_id"], str(row.get("model_name_or_path") or row.get("prefix") or ""), patch
    )


def write(folder: RunFolder, results: Iterable[Result], name: str) -> list[Path]:
    """One file an attempt: preds.jsonl, preds-2.jsonl … Each is whole or not there. Infrastructure that failed says
    nothing about the model, so such an attempt is in no file."""
    lines: dict[int, list[str]] = {}
    for result in results:
        if not result.status.infrastructure:
            row = {
                "instance_id": result.instance,
                "model_name_or_path": name or result.model,
                "model_patch": result.patch,
            }
            lines.setdefault(result.attempt, []).append(json.dumps(row, ensure_ascii=False))
    written = []
    for attempt, rows in sorted(lines.items()):
        path = folder.path / ("preds.jsonl" if attempt == 1 else f"preds-{attempt}.jsonl")
        write_whole(path, ("\n".join(rows) + "\n").encode("utf-8", "replace"))
        written.append(path)
    return written
