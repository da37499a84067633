"""What the doctor says: rows for people as they come, one object for programs."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from coder import __version__
from coder.doctor.verdict import Row, Verdict
from coder.model.endpoint import Endpoint
from sandbox.text import clean_text

_COLOURS = {Verdict.OK: "32", Verdict.DEGRADED: "33", Verdict.BROKEN: "31", Verdict.NOT_TOLD: "2"}
_INDENT = " " * 12


class Progress:
    """Standard error: on a terminal one live line, else a line a probe. Standard output belongs to the result."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._live = self._stream.isatty()
        self._name, self._began = "", 0.0

    def begin(self, name: str) -> None:
        self._name, self._began = name, time.monotonic()
        if not self._live:
            print(f"probing {name}", file=self._stream, flush=True)
        self.tick()

    def tick(self) -> None:
        """Renew the live line."""
        if self._live and self._name:
            seconds = time.monotonic() - self._began
            print(f"\r\x1b[K  probing {self._name} … {seconds:.0f} s", end="", file=self._stream, flush=True)

    def end(self) -> None:
        if self._live and self._name:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
        self._name = ""


def row_text(row: Row, *, colours: bool, verbose: bool) -> str:
    """A row for people. What came from the server is made harmless before colours are added."""
    verdict = f"{row.verdict:<10}"
    if colours:
        verdict = f"\x1b[{_COLOURS[row.verdict]}m{verdict}\x1b[0m"
    lines = [f"{verdict}  {row.probe}: {_clean(row.seen)}"]
    if row.cost:
        lines.append(f"{_INDENT}costs: {_clean(row.cost)}")
    if row.fix:
        lines.append(f"{_INDENT}fix: {_clean(row.fix)}")
    if verbose:
        plain = {} if row.notes else row.figures
        figures = ", ".join(f"{key} {value}" for key, value in plain.items())
        lines.append(f"{_INDENT}{row.seconds:.1f} s{f'; {_clean(figures)}' if figures else ''}")
        lines += [f"{_INDENT}{_clean(note)}" for note in row.notes]
    return "\n".join(lines)


def summary(rows: list[Row]) -> str:
    counts = [(verdict, sum(row.verdict is verdict for row in rows)) for verdict in Verdict]
    seconds = sum(row.seconds for row in rows)
    return f"{', '.join(f'{count} {verdict}' for verdict, count in counts if count)}; {seconds:.0f} s"


def as_object(endpoint: Endpoint | None, rows: list[Row], *, error: str = "") -> dict[str, Any]:
    """What `--json` prints; `endpoint` is None where no server answered."""
    speed = next((row.figures for row in rows if row.probe == "speed"), {})
    return {
        "version": __version__,
        "endpoint": endpoint.base_url if endpoint else None,
        "backend": endpoint.backend.name if endpoint else None,
        "backend_version": endpoint.backend.version if endpoint else None,
        "model": endpoint.model if endpoint else None,
        "context_length": endpoint.context_length if endpoint else None,
        "rows": [_row_object(row) for row in rows],
        "speed": speed,
        "error": error or None,
    }


def as_json(endpoint: Endpoint | None, rows: list[Row], *, error: str = "") -> str:
    return json.dumps(as_object(endpoint, rows, error=error), ensure_ascii=True) + "\n"


def _row_object(row: Row) -> dict[str, Any]:
    return {
        "probe": row.probe,
        "verdict": str(row.verdict),
        "seen": row.seen,
        "cost": row.cost,
        "fix": row.fix,
        "seconds": row.seconds,
        "figures": row.figures,
    }


def _clean(text: str) -> str:
    return clean_text(" ".join(text.split()))
