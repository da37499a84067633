"""Which candidate counts, among those that passed every gate.

Tests that candidates wrote are votes: each was seen to fail without its own candidate's change, and is run on the others'.
They are never a veto, since a test can be wrong; and a patch that many wrote is not better for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Row = dict[int, bool]
"""Candidate by number: whether one candidate's tests pass with its change."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A candidate that passed every gate. `index` counts from 1, `lines` are added and removed ones."""

    index: int
    patch: bytes
    lines: int
    summary: str = ""
    essence: bytes = b""
    """The same for changes that differ in comments and layout only; empty where only the patch tells."""


@dataclass(slots=True)
class Ballot:
    """`matrix` has a row for each candidate that wrote tests; `wins` counts consistent pairwise judgements."""

    entries: Sequence[Entry]
    matrix: dict[int, Row] = field(default_factory=dict)
    wins: dict[int, int] = field(default_factory=dict)
    in_order: bool = False
    """Whether an earlier candidate is the likelier one, as with a repair's plan, which begins with what helps most."""

    def votes(self, index: int) -> int:
        """Rows whose tests pass with this candidate, its own not counted."""
        return sum(row.get(index, False) for writer, row in self.matrix.items() if writer != index)

    def of(self, index: int) -> int:
        """Rows that had a say on this candidate."""
        return sum(index in row for writer, row in self.matrix.items() if writer != index)

    def share(self, index: int) -> float:
        of = self.of(index)
        return self.votes(index) / of if of else 1.0

    def leaders(self) -> list[Entry]:
        """Those with the best share of votes, each change once."""
        if not self.entries:
            return []
        best = max(self.share(entry.index) for entry in self.entries)
        found: dict[bytes, Entry] = {}
        for entry in self.entries:
            if self.share(entry.index) == best:
                found.setdefault(entry.essence or entry.patch, entry)
        return list(found.values())

    def choose(self) -> tuple[Entry, str]:
        """The one that counts, and why it, as a sentence."""
        leaders = self.leaders()
        passed = f"{len(self.entries)} of the candidates passed every gate"
        if len(self.entries) == 1:
            return leaders[0], "it alone passed every gate"
        if len(leaders) == 1:
            chosen = leaders[0]
            if self.of(chosen.index):
                return chosen, f"{passed}; {self.votes(chosen.index)} of {self.of(chosen.index)} tests of the others pass with it, more than with any other"  # fmt: skip
            return chosen, f"{passed}, all with the same change"
        most = max(self.wins.get(entry.index, 0) for entry in leaders)
        ahead = [entry for entry in leaders if self.wins.get(entry.index, 0) == most]
        if len(ahead) == 1:
            return ahead[0], f"{passed} and their tests tell no difference; it was preferred to {most} of {len(leaders) - 1} others, in either order"  # fmt: skip
        if self.in_order:
            chosen = min(ahead, key=lambda entry: entry.index)
            return chosen, f"{passed} and nothing tells them apart; it stands first in the plan"
        chosen = min(ahead, key=lambda entry: (entry.lines, entry.index))
        return chosen, f"{passed} and nothing tells them apart; it is the smallest change"
