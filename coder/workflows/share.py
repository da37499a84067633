"""Several attempts at one task must not all do the same."""

from __future__ import annotations

from dataclasses import dataclass

from coder.model.profile import Profile

COLD, WARM = 0.5, 0.8
"""Sampling temperatures: one below COLD is raised to WARM for all attempts but the first."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which of several attempts this is, from 0, and of how many."""

    index: int = 0
    of: int = 1

    def temperature(self, profile: Profile) -> float | None:
        """At which it samples; None for the profile's own. The first is as the profile has it."""
        usual = profile.temperature
        return WARM if self.index and usual is not None and usual < COLD else None


WHOLE = Share()
"""The only attempt."""
