"""Several attempts at one task must not all do the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """Which of several attempts this is, from 0, and of how many."""

    index: int = 0
    of: int = 1


WHOLE = Share()
"""The only attempt."""
