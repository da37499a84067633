"""What a probe found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    BROKEN = "broken"
    NOT_TOLD = "not told"


@dataclass(frozen=True, slots=True)
class Row:
    """One probe's finding: what was seen, what it costs the user, and what mends it.

    `figures` are for programs, `notes` are lines for people who want to know more.
    """

    probe: str
    verdict: Verdict
    seen: str
    cost: str = ""
    fix: str = ""
    seconds: float = 0.0
    figures: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        return self.verdict in (Verdict.OK, Verdict.NOT_TOLD)


def exit_status(rows: Iterable[Row]) -> int:
    return 0 if all(row.healthy for row in rows) else 1
