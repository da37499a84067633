"""Which objections count. A reviewer that guesses does harm, so nothing counts that is not backed.

Backed by a command: it fails with the change and worked without. Backed by a quotation: at least half of the reviews copy
a changed line of that place. A review that copies what does not stand there guesses, and is no second voice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from coder.review_events import Finding
from coder.workflows.gates.source import ChangedFile
from coder.workflows.review.answer import Answer, Claim, Severity

Try = Callable[[str], Awaitable[str]]
"""Runs a command on the change and without it; what it printed when it fails only with the change, else nothing."""

NEAR = 4
"""Lines between two claims that mean the same place."""
MAX_COMMANDS = 6
"""Commands of one review that are tried."""
_ORDER = ("error", "warning", "note")


@dataclass(slots=True)
class _Group:
    """Claims of several reviews about one place."""

    claims: list[Claim] = field(default_factory=list)
    reviews: set[int] = field(default_factory=set)
    quoting: set[int] = field(default_factory=set)
    """The reviews that copy a changed line."""
    quotation: str = ""
    """The first such line."""

    def takes(self, claim: Claim) -> bool:
        first = self.claims[0]
        return claim.file == first.file and abs(claim.line - first.line) <= NEAR

    @property
    def severity(self) -> Severity:
        return min((claim.severity for claim in self.claims), key=_ORDER.index)


async def weigh(
    answers: Sequence[Answer],
    files: Sequence[ChangedFile],
    attempt: Try,
    *,
    name: str,
    quotations: bool = True,
) -> tuple[Finding, ...]:
    """The findings of all reviews, each place once, the gravest first, with what backs them.

    `name` begins their ids. Without `quotations` only commands back a finding.
    """
    groups = _grouped(answers, {file.path: file for file in files})
    findings, tried = [], 0
    for number, group in enumerate(sorted(groups, key=lambda each: _ORDER.index(each.severity)), 1):
        proof = ""
        for command in dict.fromkeys(claim.command for claim in group.claims if claim.command):
            if tried < MAX_COMMANDS and not proof:
                tried += 1
                if printed := await attempt(command):
                    proof = f"$ {command}\n{printed}"
        quoted = group.quotation if quotations and len(group.quoting) * 2 >= len(answers) else ""
        telling = next((claim for claim in group.claims if claim.severity == group.severity), group.claims[0])
        findings.append(
            Finding(
                id=f"{name}.{number}",
                file=telling.file,
                line=telling.line,
                severity=group.severity,
                reason=telling.reason,
                backed=bool(proof or quoted),
                proof=proof or quoted,
                agreed=len(group.reviews),
                samples=len(answers),
            )
        )
    return tuple(findings)


def counts(finding: Finding) -> bool:
    """Whether a finding stops a change."""
    return finding.backed and finding.severity != "note"


def _grouped(answers: Sequence[Answer], files: dict[str, ChangedFile]) -> list[_Group]:
    groups: list[_Group] = []
    named = {claim.file for answer in answers for claim in answer.claims}
    added = {path: tuple(files[path].added()) for path in named & files.keys()}
    for review, answer in enumerate(answers):
        for said in answer.claims:
            line = _quoted_line(said, added.get(said.file, ()))
            claim = replace(said, line=line) if line else said
            group = next((each for each in groups if each.takes(claim)), None)
            if group is None:
                groups.append(group := _Group())
            group.claims.append(claim)
            group.reviews.add(review)
            if line:
                group.quoting.add(review)
                group.quotation = group.quotation or claim.quote
    return groups


def _quoted_line(claim: Claim, added: Sequence[tuple[int, str]]) -> int:
    """The changed line that a claim copies, the one next to the line that it names; 0 for none."""
    wanted = _plain(claim.quote)
    places = [number for number, line in added if wanted and _plain(line) == wanted]
    return min(places, key=lambda number: abs(number - claim.line), default=0)


def _plain(line: str) -> str:
    return " ".join(line.removeprefix("+").split())
