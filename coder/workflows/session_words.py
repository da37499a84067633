"""What a session says to the model in the user's stead."""

from __future__ import annotations

from coder.events import Finding

PLANNING = (
    "[The user wants a plan first. Only reading works: search, and view in the editor. Give the plan with the plan "
    "tool, then call submit with what else the user should know. Nothing is changed before the user agrees.]"
)
CARRY_OUT = "Carry out this plan. Tick its steps off with the plan tool as you go.\n\n"


def mend(finding: Finding) -> str:
    """The user accepts a reviewer's finding."""
    place = f"{finding.file}:{finding.line}" if finding.line else finding.file
    return f"The review found this, and I agree. Mend it: {place}: {finding.reason}"
