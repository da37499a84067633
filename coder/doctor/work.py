"""Probes: does the server stop when the client leaves, and how fast is it, alone and with others?"""

from __future__ import annotations

import asyncio
import time

from coder.doctor.patient import Heard, Patient, nonce
from coder.doctor.verdict import Row, Verdict
from coder.model.fixes import Fault, fix
from coder.model.load import Load, look

CANCEL, SPEED = "cancellation", "speed"
_GRACE = 2.0  # seconds
_FEW = 5  # tokens
_TOGETHER = 8
_STORY = "Tell a story of at least two thousand words about a lighthouse and its keeper."


async def cancellation(patient: Patient) -> Row:
    before = await look(patient.endpoint)
    if before.running is None:
        return Row(CANCEL, Verdict.NOT_TOLD, "the server does not tell what it is working on")
    during = await _left(patient)
    left = time.monotonic()
    if during is None or (during.running or 0) <= before.running:
        why = (
            "the answer ended too early"
            if during is None
            else "the server's figures did not show the request"
        )
        return Row(CANCEL, Verdict.NOT_TOLD, f"{why}: too little to tell")
    while time.monotonic() - left < _GRACE:
        if _quiet(await look(patient.endpoint), before):
            seen = f"the server stopped {time.monotonic() - left:.1f} s after the client left"
            return Row(CANCEL, Verdict.OK, seen, figures={"stopped": True})
        await asyncio.sleep(0.1)
    await patient.ask(
        "Answer with the word OK.", max_tokens=1
    )  # figures may be renewed by the next step only
    if _quiet(await look(patient.endpoint), before):
        return Row(CANCEL, Verdict.OK, "the server stopped after the client left", figures={"stopped": True})
    seen = f"{_GRACE:.0f} s after the client left, the server still works on its request"
    cost = "each thought that is cut, and each Ctrl-C, leaves work behind that slows down the next request"
    how = fix(Fault.CANCEL, patient.endpoint.backend, patient.profile)
    return Row(CANCEL, Verdict.DEGRADED, seen, cost, how, figures={"stopped": False})


async def speed(patient: Patient) -> Row:
    slow = 0 < patient.rate < 15
    tokens, together = (12, _TOGETHER // 2) if slow else (64, _TOGETHER)
    alone = await patient.ask(f"{nonce()} {_STORY}", max_tokens=tokens)
    written = alone.answer.usage.completion
    if written < _FEW:
        return Row(SPEED, Verdict.NOT_TOLD, f"the answer had only {written} tokens: too short to tell")
    rate = written / max(alone.last - alone.first, 0.001)
    started = time.monotonic()
    heard = await asyncio.gather(*(_timed(patient, tokens, started) for _ in range(together)))
    wall = time.monotonic() - started
    total = sum(each.answer.usage.completion for _, each in heard) / max(wall, 0.001)
    spans = [(begun + each.first, begun + each.last) for begun, each in heard]
    beside = _side_by_side(spans)
    told: dict[str, object] = {
        "first_token_seconds": round(alone.first, 3),
        "tokens_per_second": round(rate, 1),
        "prefill_rate": round(patient.prefill) or None,
        "together": together,
        "total_tokens_per_second": round(total, 1),
        "side_by_side": beside,
    }
    seen = (
        f"alone {rate:.0f} tokens/s, first token after {alone.first:.2f} s, prompts {patient.prefill:.0f} tokens/s; "
        f"{together} requests at once {total:.0f} tokens/s, {beside} side by side"
    )
    if beside > 1:
        return Row(SPEED, Verdict.OK, seen, figures=told)
    how = fix(Fault.ONE_SLOT, patient.endpoint.backend, patient.profile)
    cost = "requests wait for one another, and each forgets the other's prompt"
    return Row(SPEED, Verdict.DEGRADED, seen, cost, how, figures=told)


async def _left(patient: Patient) -> Load | None:
    """Begin a long answer, look at the server's figures after some pieces, and leave; None when it ended before."""
    some = asyncio.Event()

    def enough(heard: Heard) -> bool:
        if len(heard.times) >= 5:
            some.set()
        return False

    running = asyncio.create_task(patient.ask(f"{nonce()} {_STORY}", max_tokens=4000, until=enough))
    waiting = asyncio.create_task(some.wait())
    try:
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        during = await look(patient.endpoint)
        if running.done():
            await running
            return None
        return during
    finally:
        waiting.cancel()
        running.cancel()
        await asyncio.wait((running, waiting))


def _quiet(now: Load, before: Load) -> bool:
    return now.running is not None and now.running <= (before.running or 0)


async def _timed(patient: Patient, tokens: int, origin: float) -> tuple[float, Heard]:
    begun = time.monotonic() - origin
    return begun, await patient.ask(f"{nonce()} {_STORY}", max_tokens=tokens)


def _side_by_side(spans: list[tuple[float, float]]) -> int:
    """The most answers that were being written at one moment."""
    return max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans) or 1
