"""Between a submission and its acceptance: every gate, then the reviewer, each with a bounded number of ways back."""

from __future__ import annotations

import asyncio

import msgspec

from coder.agent.limits import Limits
from coder.config import REVIEWER
from coder.events import Emit, within
from coder.review_events import Finding, Verdict
from coder.workflows.gates.source import ChangedFile, changed_files
from coder.workflows.house import House
from coder.workflows.judge import Judge
from coder.workflows.request import Request
from coder.workflows.review.reviewer import SPAN, Reviewer, connect_reviewer
from coder.workflows.review.trial import trial
from coder.workflows.review.weigh import counts
from coder.workflows.site import Site
from sandbox.text import clean_text

GATE_ROUNDS = 3
REVIEW_ROUNDS = 2
"""How often a change is sent back; the next one counts as it is."""
MAX_PRINTED = 1500
"""Characters of a gate's output that the engineer is shown."""


class Acceptance:
    """What stands between the engineer and the end of its task. A verdict holds for one state of the files."""

    def __init__(self, request: Request, *, judge: Judge, house: House, limits: Limits, emit: Emit) -> None:
        self._request = request
        self._judge = judge
        self._house = house
        self._limits = limits
        self._emit = emit
        self._gate_rounds = 0
        self._review_rounds = 0
        self._verdicts: dict[str, Verdict] = {}
        self._reviewer: Reviewer | None = None

    @property
    def reviews(self) -> bool:
        """Whether a reviewer has a say."""
        config = self._request.config
        return config.reviewer == "on" or (config.reviewer == "auto" and REVIEWER in config.roles)

    async def objection(self) -> str:
        """What speaks against the present files, for the engineer; empty when they may be handed over."""
        if (cheap := await self._judge.objection()) or not self._request.verify:
            return cheap
        site = await self._house.place()
        if not (await site.sandbox()).runs:
            return ""
        if self._gate_rounds < GATE_ROUNDS and (refused := await self._refused()):
            self._gate_rounds += 1
            return refused
        if self._judge.evidence.passed and self.reviews and self._review_rounds < REVIEW_ROUNDS:
            told = _told(await self.verdict())
            self._review_rounds += bool(told)
            return told
        return ""

    async def _refused(self) -> str:
        await self._judge.judge()
        gate = self._judge.evidence.first_failure()
        if gate is None:
            return ""
        output = f"\n{clean_text(gate.output)[-MAX_PRINTED:]}" if gate.output else ""
        after = self._judge.evidence.after
        if not output and after is not None and after.failing:
            output = f"\n{clean_text(after.tail)[-MAX_PRINTED:]}"
        return f"The change does not pass the gate {gate.name}: {gate.detail}.{output}"

    async def verdict(self) -> Verdict:
        """The review of the present files; asked for once for each state of them. Raises LimitReached and ModelError."""
        site = await self._house.place()
        workspace = await site.workspace()
        tree = await asyncio.to_thread(workspace.snapshot)
        if tree not in self._verdicts:
            base = self._house.since or workspace.base
            changes = await asyncio.to_thread(workspace.changes, base, tree)
            files = await asyncio.to_thread(changed_files, changes, workspace.shadow.blob)
            verdict = self._verdicts[tree] = await self._reviewed(site, files, base, tree)
            await self._emit(verdict)
            self._judge.evidence.review = _record(list(self._verdicts.values()))
        return self._verdicts[tree]

    async def _reviewed(self, site: Site, files: tuple[ChangedFile, ...], base: str, tree: str) -> Verdict:
        if self._reviewer is None:
            emit = within(self._emit, SPAN)
            self._reviewer = await connect_reviewer(self._request.config, self._limits, emit)

        return await self._reviewer.review(
            self._request.task,
            files,
            trial(site, base, tree),
            evidence=self._judge.evidence,
            number=len(self._verdicts) + 1,
        )

    async def close(self) -> None:
        if self._reviewer is not None:
            await self._reviewer.close()


def _told(verdict: Verdict) -> str:
    """A refusal as the engineer hears it; empty for an approval."""
    if verdict.verdict == "APPROVE":
        return ""
    said = "\n".join(_finding(finding) for finding in verdict.findings if counts(finding))
    return f"The reviewer asks for changes. Mend them, or show by a test that they are wrong, then submit again.\n{said}"


def _finding(finding: Finding) -> str:
    proof = "\n".join(f"    {line}" for line in finding.proof.splitlines()[:20])
    return f"- {finding.file}:{finding.line}: {finding.reason}\n{proof}"


def _record(verdicts: list[Verdict]) -> dict[str, object]:
    """All rounds for the evidence; the last one's verdict stands."""
    rounds = [
        {
            "verdict": verdict.verdict,
            "overruled": verdict.overruled,
            "summary": verdict.summary,
            "findings": [msgspec.structs.asdict(finding) for finding in verdict.findings],
        }
        for verdict in verdicts
    ]
    return {"verdict": verdicts[-1].verdict, "rounds": rounds}
