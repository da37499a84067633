"""Probe: do answers come piece by piece?"""

from __future__ import annotations

from coder.doctor.patient import Heard, Patient, filler, nonce
from coder.doctor.verdict import Row, Verdict
from coder.model.fixes import Fault, fix

NAME = "streaming"
_TOKENS = 64
_FEW = 16  # tokens that say nothing about pieces
_ENOUGH = 20.0  # seconds; a slow server has shown by then what it is


async def streaming(patient: Patient) -> Row:
    """Also measures the rates by which the later probes choose their sizes."""
    prompt = f"{nonce()} {filler(160)}\n\nCount from 1 to 40, the numbers alone, separated by spaces."
    heard = await patient.ask(prompt, max_tokens=_TOKENS, until=_shown)
    pieces = len(heard.times)
    tokens = heard.reply.usage.completion if heard.reply else pieces
    if heard.reasoning or (heard.reply and heard.reply.thinking):
        patient.thinks_anyway()
    _measure(patient, heard, tokens, len(prompt))
    spread = heard.last - heard.first
    figures: dict[str, object] = {
        "pieces": pieces,
        "first_token_seconds": round(heard.first, 3),
        "tokens_per_second": round(patient.rate, 1),
    }
    if heard.reply and tokens < _FEW:
        seen = f"the answer had only {tokens} tokens: too short to tell"
        return Row(NAME, Verdict.NOT_TOLD, seen, figures=figures)
    if pieces <= 2 or (heard.last > 0.5 and spread < 0.1 * heard.last):
        seen = f"{tokens} tokens came at once, after {heard.last:.1f} s ({pieces} pieces)"
        cost = "no live progress, and a thought that is too long cannot be cut in time"
        how = fix(Fault.BUFFERED, patient.endpoint.backend, patient.profile)
        return Row(NAME, Verdict.DEGRADED, seen, cost, how, figures=figures)
    seen = f"{pieces} pieces, the first after {heard.first:.2f} s, {patient.rate:.3g} tokens/s"
    return Row(NAME, Verdict.OK, seen, figures=figures)


def _shown(heard: Heard) -> bool:
    return heard.last > _ENOUGH and len(heard.times) > 5


def _measure(patient: Patient, heard: Heard, tokens: int, characters: int) -> None:
    writing = heard.last - heard.first if len(heard.times) > 2 else heard.last
    patient.rate = tokens / max(writing, 0.001)
    read = heard.reply.usage.prompt if heard.reply else characters // 4
    patient.prefill = read / max(heard.first, 0.001)
