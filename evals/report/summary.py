"""A run's folder as numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby

import msgspec

from coder.envelope import Spent
from evals.folder import RunFolder
from evals.report.statistics import pass_all, pass_at, quantile, wilson
from evals.result import Finding, Result, Seconds, Status

SELECTOR = "submitted, then the smaller patch"
"""How the best of several attempts is picked without looking at the hidden tests."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """`resolved` of `of`, with its 95 % Wilson interval."""

    resolved: int
    of: int
    low: float
    high: float


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    median: float
    p90: float
    most: float
    sum: float


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """All attempts at one instance, in order."""

    id: str
    repo: str
    difficulty: str
    statuses: tuple[Status, ...]
    attempts: tuple[int, ...]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to. Rates count a task by its first attempt, but for `mean`, `pass_at` and `pass_all`."""

    folder: str
    name: str
    data: str
    sha256: str
    program: str
    model: str
    server: str
    strategy: str
    sandbox: str
    settings: dict[str, object]
    instances: int
    attempts: int
    done: int
    """Attempts that have a result."""
    rate: Rate
    mean: float
    """Over all attempts."""
    pass_at: dict[int, float]
    pass_all: dict[int, float]
    best_of: Rate
    selector: str = SELECTOR
    statuses: dict[Status, int]
    reasons: dict[str, int]
    repos: dict[str, Rate]
    difficulties: dict[str, Rate]
    spent: Spent
    tokens: Spread
    """Of completion, an attempt."""
    wall: Spread
    """Seconds, an attempt."""
    seconds: Seconds
    """Where all attempts' time went."""
    span: float
    """Seconds from the first beginning to the last end."""
    at_once: float
    """Attempts side by side, on average over that span."""
    failed_edits: int
    masked: int
    findings: dict[str, tuple[Finding, ...]]
    """By INSTANCE/ATTEMPT."""
    tasks: tuple[Task, ...]


def summary(folder: RunFolder) -> Summary:
    """Everything that there is in `folder`, also of a run that is not done. Raises UsageError."""
    run = folder.run()
    results = list(folder.results())
    by_instance = {key: list(found) for key, found in groupby(results, key=lambda each: each.instance)}
    firsts = [found[0] for found in by_instance.values() if found[0].attempt == 1]
    solved = [sum(map(_resolved, found)) for found in by_instance.values()]
    tried = [len(found) for found in by_instance.values()]
    shown = max(results, key=lambda each: each.started, default=None)
    ks = range(1, run.attempts + 1)
    span = _span(results)
    total = sum(each.seconds.total for each in results)
    missing = len(run.instances) - len(firsts)
    return Summary(
        folder=str(folder.path),
        name=run.name or (shown.model if shown else ""),
        data=run.data,
        sha256=run.sha256,
        program=run.program,
        model=shown.model if shown else "",
        server=shown.server if shown else "",
        strategy=shown.strategy if shown else "",
        sandbox=shown.sandbox if shown else "",
        settings=run.settings,
        instances=len(run.instances),
        attempts=run.attempts,
        done=len(results),
        rate=_rate(firsts, missing),
        mean=sum(solved) / len(results) if results else 0.0,
        pass_at=_known({k: pass_at(solved, tried, k) for k in ks}),
        pass_all=_known({k: pass_all(solved, tried, k) for k in ks}),
        best_of=_rate([_picked(found) for found in by_instance.values()], len(run.instances) - len(by_instance)),
        statuses=dict(Counter(each.status for each in results).most_common()),
        reasons=dict(Counter(each.reason for each in results if each.reason).most_common()),
        repos=_rates(firsts, "repo"),
        difficulties=_rates(firsts, "difficulty"),
        spent=sum((each.spent for each in results), Spent()),
        tokens=_spread([float(each.spent.completion_tokens) for each in results]),
        wall=_spread([each.seconds.total for each in results]),
        seconds=Seconds(**{part: round(sum(getattr(each.seconds, part) for each in results), 3) for part in Seconds.__struct_fields__}),
        span=span,
        at_once=round(total / span, 2) if span else 0.0,
        failed_edits=sum(each.failed_edits for each in results),
        masked=sum(each.masked for each in results),
        findings={f"{each.instance}/{each.attempt}": each.findings for each in results if each.findings},
        tasks=tuple(_task(found) for found in by_instance.values()),
    )  # fmt: skip


def _resolved(result: Result) -> bool:
    return result.status is Status.RESOLVED


def _rate(results: Sequence[Result], missing: int = 0) -> Rate:
    """What is missing is not resolved."""
    resolved, of = sum(map(_resolved, results)), len(results) + missing
    low, high = wilson(resolved, of)
    return Rate(resolved=resolved, of=of, low=round(low, 6), high=round(high, 6))


def _rates(results: Sequence[Result], field: str) -> dict[str, Rate]:
    groups: dict[str, list[Result]] = defaultdict(list)
    for each in results:
        groups[getattr(each, field) or "not told"].append(each)
    return {key: _rate(groups[key]) for key in sorted(groups)}


def _known(values: dict[int, float | None]) -> dict[int, float]:
    return {k: round(value, 4) for k, value in values.items() if value is not None}


def _picked(results: Sequence[Result]) -> Result:
    """See SELECTOR."""
    return min(
        results,
        key=lambda each: (not each.patch.strip(), each.reason != "submitted", len(each.patch), each.attempt),
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(
        median=round(quantile(values, 0.5), 3),
        p90=round(quantile(values, 0.9), 3),
        most=round(max(values, default=0.0), 3),
        sum=round(sum(values), 3),
    )


def _span(results: Sequence[Result]) -> float:
    if not results:
        return 0.0
    last = max(each.started + each.seconds.total for each in results)
    return round(last - min(each.started for each in results), 3)


def _task(results: Sequence[Result]) -> Task:
    first = results[0]
    return Task(
        id=first.instance,
        repo=first.repo,
        difficulty=first.difficulty,
        statuses=tuple(each.status for each in results),
        attempts=tuple(each.attempt for each in results),
    )
