"""One visit: the probes in their order, each bounded in time, and what is kept of what they found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from coder.doctor import bounds, cache, calls, server, stream, thoughts, work
from coder.doctor.patient import Patient
from coder.doctor.verdict import Row, Verdict
from coder.errors import ModelError
from coder.model import wire
from coder.model.facts import Facts
from coder.model.load import look

Begin = Callable[[str], None]
USUAL_SECONDS = 120.0
"""What a visit may take when nothing else is said; the bounds of the probes are made for it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """`seconds` bounds it. `quick` probes are cheap; without a `vital` one the rest makes no sense."""

    name: str
    run: Callable[[Patient], Awaitable[Row]]
    seconds: float = 30.0
    quick: bool = False
    vital: bool = False


PROBES = (
    Probe(server.NAME, server.server, 10.0, quick=True),
    Probe(stream.NAME, stream.streaming, 60.0, quick=True, vital=True),
    Probe(calls.CALLS, calls.tool_calls, 60.0, quick=True),
    Probe(calls.TAGS, calls.closing_tags, quick=True),
    Probe(thoughts.REASONING, thoughts.reasoning, 40.0, quick=True),
    Probe(thoughts.BUDGET, thoughts.budget, 60.0, quick=True),
    Probe(bounds.SCHEMA, bounds.schema),
    Probe(work.CANCEL, work.cancellation),
    Probe(cache.CACHE, cache.prefix_cache, 40.0),
    Probe(cache.CANARY, cache.canary, 40.0),
    Probe(bounds.CONTEXT, bounds.context, 40.0),
    Probe(work.SPEED, work.speed, 40.0),
)


async def visit(patient: Patient, *, quick: bool, seconds: float, begin: Begin) -> AsyncIterator[Row]:
    """The rows as they come; `begin` hears the name of the probe that starts. Takes `seconds` at most, in all."""
    deadline = time.monotonic() + seconds
    longer = max(1.0, seconds / USUAL_SECONDS)  # who gives the visit more time gives it to each probe
    why_not = ""
    for probe in PROBES:
        if quick and not probe.quick:
            continue
        left = deadline - time.monotonic()
        if why_not or left <= 0:
            reason = why_not or f"no time was left of {seconds:.0f} s: --timeout SECONDS gives more"
            yield Row(probe.name, Verdict.NOT_TOLD, f"skipped: {reason}")
            continue
        begin(probe.name)
        row = await _bounded(probe, patient, min(left, probe.seconds * longer))
        if row.figures.get("died"):
            why_not = "the server died"
        elif probe.vital and row.verdict is Verdict.BROKEN:
            why_not = "the server does not answer as it should"
        yield row


def facts(rows: list[Row], patient: Patient, earlier: Facts | None) -> Facts:
    """What later runs may build on; what was not told this time stays as it was."""
    told: dict[str, dict[str, object]] = {row.probe: row.figures for row in rows}

    def figure(probe: str, key: str) -> Any:
        return told.get(probe, {}).get(key)

    rate = figure(cache.CACHE, "prefill_rate")
    found = {
        "tool_calls": figure(calls.CALLS, "parsed"),
        "reasoning_separated": figure(thoughts.REASONING, "separated"),
        "budget_held": figure(thoughts.BUDGET, "held"),
        "cached_reported": figure(cache.CACHE, "reported"),
        "context": figure(bounds.CONTEXT, "claimed") or patient.endpoint.context_length,
        "prefill_rate": float(rate) if rate else None,
    }
    known = {key: value for key, value in found.items() if value is not None}
    return replace(earlier or Facts(), **known, refused=tuple(sorted(patient.refusals.fields)))


async def _bounded(probe: Probe, patient: Patient, seconds: float) -> Row:
    started = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            row = await probe.run(patient)
    except TimeoutError:
        row = await _late(probe, patient, seconds)
    except ModelError as error:
        row = await _failed(probe, patient, error)
    return replace(row, seconds=round(time.monotonic() - started, 2))


async def _late(probe: Probe, patient: Patient, seconds: float) -> Row:
    """Too slow, too busy, or hanging: the server's own figures may tell."""
    load = await look(patient.endpoint)
    verdict = Verdict.BROKEN if probe.vital else Verdict.NOT_TOLD
    return Row(probe.name, verdict, f"not done within {seconds:.0f} s; the server: {load}")


async def _failed(probe: Probe, patient: Patient, error: ModelError) -> Row:
    endpoint = patient.endpoint
    answer = await wire.get(f"{endpoint.base_url}/models", api_key=endpoint.api_key, timeout=5.0)
    if answer.status == 0:
        seen = f"the server died: {error}"
        hint = "look at its log: it may want more memory"
        return Row(probe.name, Verdict.BROKEN, seen, "no run can go on", hint, figures={"died": True})
    hint = "" if "coder doctor" in error.hint else error.hint  # that is who speaks
    return Row(probe.name, Verdict.BROKEN, str(error), "requests of this kind fail", hint)
