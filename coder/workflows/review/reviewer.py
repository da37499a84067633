"""Asking for a review: several samples, one verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as resources

from coder import events
from coder.agent.conversation import said, spent_of
from coder.agent.limits import Limits
from coder.config import REVIEWER, Config
from coder.events import Emit
from coder.model import messages
from coder.model.client import ModelClient
from coder.model.roles import Levels, connect_role
from coder.review_events import Finding, Verdict
from coder.workflows.evidence import Evidence
from coder.workflows.gates.source import ChangedFile
from coder.workflows.review.answer import SCHEMA, Answer, read
from coder.workflows.review.shown import parts, task_of
from coder.workflows.review.weigh import Try, counts, weigh
from coder.workflows.share import Share

SPAN = "reviewer"
MAX_ANSWER = 4096
"""Tokens of an answer, its thought not counted."""
_AGAIN = "That was no review. Call report_review once, with verdict and findings."


@dataclass(slots=True)
class Reviewer:
    """A model in the reviewer's role. `emit` is that of its span; `limits` are the run's own."""

    model: ModelClient
    levels: Levels
    limits: Limits
    emit: Emit
    samples: int = 3

    @property
    def small(self) -> bool:
        """Whether only commands back what it finds: a model too small to drive tools agrees with itself on anything."""
        return self.model.profile.strategy == "repair"

    async def review(
        self,
        task: str,
        files: Sequence[ChangedFile],
        attempt: Try,
        *,
        evidence: Evidence | None = None,
        known: Sequence[Finding] = (),
        number: int = 1,
    ) -> Verdict:
        """One verdict on a change. What is `known` already counts beside what is found; `number` is the round. Raises
        LimitReached and ModelError."""
        found = list(known)
        requested = 0
        summaries = []
        for place, part in enumerate(parts(files), 1):
            asked = task_of(task, part, evidence)
            answers = [answer for answer in await self._sampled(asked) if answer is not None]
            requested += sum(answer.requests for answer in answers) * 2 > len(answers)
            summaries += [answer.summary for answer in answers if answer.summary][:1]
            name = f"r{number}" if place == 1 else f"r{number}.{place}"
            found += await weigh(answers, files, attempt, name=name, quotations=not self.small)
        blocking = any(map(counts, found))
        return Verdict(
            verdict="REQUEST_CHANGES" if blocking else "APPROVE",
            round=number,
            findings=tuple(found),
            overruled=bool(requested) and not blocking,
            summary=" ".join(summaries),
        )

    async def _sampled(self, asked: str) -> list[Answer | None]:
        """All but the first at once: they share the prompt, which the server's cache has by then."""
        system = resources("coder.agent").joinpath("prompts", "reviewer.md").read_text()
        sent = [messages.system(system), messages.user(asked)]
        first = await self._one(sent, 0)
        others = await asyncio.gather(*(self._one(sent, seed) for seed in range(1, self.samples)))
        return [first, *others]

    async def _one(self, sent: list[messages.Message], seed: int) -> Answer | None:
        """One sample; asked once more when it is no review."""
        for conversation in (sent, [*sent, messages.user(_AGAIN)]):
            self.limits.check()
            reply = await self.model.stream(
                conversation,
                tools=[SCHEMA],
                max_tokens=self.limits.completion_cap(MAX_ANSWER),
                temperature=Share(seed, self.samples).temperature(self.model.profile),
                seed=seed if self.samples > 1 else None,
                thinking=self.levels.diagnosis,
                on_retry=self._retried,
            )
            spent = spent_of(reply)
            self.limits.add(spent)
            await self.emit(said(reply, spent))
            if (answer := read(reply)) is not None:
                return answer
        return None

    async def _retried(self, reason: str) -> None:
        await self.emit(events.Retried(reason=reason))

    async def close(self) -> None:
        await self.model.close()


async def connect_reviewer(config: Config, limits: Limits, emit: Emit) -> Reviewer:
    """The reviewer of the user's settings. Raises ConfigError, UsageError and ModelError."""

    async def waiting(reason: str) -> None:
        await emit(events.Retried(reason=reason))

    connected = await connect_role(config, REVIEWER, on_wait=waiting)
    model = ModelClient(connected.endpoint, connected.profile, facts=connected.facts)
    return Reviewer(model, connected.levels, limits, emit, samples=config.review_samples)
