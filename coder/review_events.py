"""Events of candidates and of the review. `coder.events` puts them into the vocabulary.

Whatever happens inside a candidate or the reviewer comes with that part's span (candidate-2, reviewer); the events here
are about them, and come with the span of the task.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from coder.envelope import Event, Spent


class CandidateStarted(Event, frozen=True, tag=True):
    """Candidate `index` of `of`, counted from 1, begins. Its own events come with the span `name`."""

    index: int
    of: int
    name: str


class CandidateFinished(Event, frozen=True, tag=True):
    """A candidate has ended. `outcome` is passed (every gate), failed, empty, stopped (others agreed first) or error.

    `votes` counts the reproduction tests that pass with it, `tests` all of them. `patch` is the whole change."""

    index: int
    name: str
    outcome: str
    reason: str = ""
    """A sentence for people."""
    files: int = 0
    added: int = 0
    removed: int = 0
    votes: int = 0
    tests: int = 0
    patch: str = ""
    spent: Spent = Spent()
    seconds: float = 0.0


class CandidateChosen(Event, frozen=True, tag=True):
    """Which candidate the run goes on with, and why this one."""

    index: int
    name: str
    why: str


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a reviewer objects to. `line` counts from 1, 0 for the whole file.

    It is `backed` when a command was seen to fail (`proof` is the command and its output) or when the lines that it
    quotes stand there (`proof` is the quotation). `agreed` of `samples` reviews had it.
    """

    id: str
    file: str
    reason: str
    line: int = 0
    severity: Literal["error", "warning", "note"] = "warning"
    backed: bool = False
    proof: str = ""
    agreed: int = 1
    samples: int = 1


class Verdict(Event, frozen=True, tag=True):
    """The outcome of a review. `overruled`: changes were requested without anything that backs it, so it counts as an
    approval. `round` counts from 1."""

    verdict: Literal["APPROVE", "REQUEST_CHANGES"]
    round: int = 1
    findings: tuple[Finding, ...] = ()
    overruled: bool = False
    summary: str = ""


class FindingResolved(Event, frozen=True, tag=True):
    """The user accepted a finding (the engineer is to mend it) or dismissed it."""

    finding: str
    accepted: bool
