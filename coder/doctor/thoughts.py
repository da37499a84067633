"""Probes: are thoughts kept apart from answers, can they be turned off, and does the server hold a budget?"""

from __future__ import annotations

from coder.doctor import figures
from coder.doctor.patient import Heard, Patient, nonce
from coder.doctor.verdict import Row, Verdict
from coder.errors import StreamBroken
from coder.model.fixes import Fault, fix
from coder.model.messages import user
from coder.model.thinking import CLOSE, OPEN, Thinking

REASONING, BUDGET = "reasoning", "thinking budget"
_QUESTION = "Is 91 a prime number? Answer with yes or no."
_LONG = (
    "How many of the numbers from 1 to 60 are divisible by 3 or by 5, but not by both? "
    "Go through them one by one in your thoughts, then answer with the count alone."
)
_BUDGET = Thinking(48)


async def reasoning(patient: Patient) -> Row:
    if not patient.profile.thinking.supports:
        return Row(REASONING, Verdict.NOT_TOLD, f"the profile {patient.profile.name} does not think")
    heard = await patient.ask(_QUESTION, max_tokens=600, thinking=Thinking("full"))
    if _inline(heard):
        seen = f"thoughts come inside the answer ({CLOSE} in the content)"
        cost = "coder takes them out itself; no thinking budget holds, and schemas do not work"
        return _row(patient, Fault.REASONING_PARSER, seen, cost, {"separated": False})
    if not heard.reasoning:
        return Row(REASONING, Verdict.NOT_TOLD, "the model did not think", figures={"separated": None})
    told: dict[str, object] = {"separated": True, "field": heard.reasoning_field}
    seen = f"thoughts come apart, as {heard.reasoning_field}"
    quiet = await patient.ask(_QUESTION, max_tokens=200, thinking=Thinking("off"))
    told["off"] = not (quiet.reasoning.strip() or _inline(quiet))
    if not told["off"]:
        cost = "routine steps think as long as hard ones"
        return _row(patient, Fault.THINKING_OFF, f"{seen}, but come with thinking off too", cost, told)
    cut = await patient.ask(_QUESTION, max_tokens=24, thinking=Thinking("full"))
    told["repeated"] = bool(cut.raw.strip()) and cut.raw.strip() == cut.reasoning.strip()
    seen += ", and can be turned off"
    if told["repeated"]:  # vLLM 0.32 with force_nonempty_content; the client compares and drops it
        seen += "; a thought that is cut off is repeated as the answer (coder drops the copy)"
    return Row(REASONING, Verdict.OK, seen, figures=told)


async def budget(patient: Patient) -> Row:
    """First without a budget, to see that the model would think longer; then with one."""
    if not patient.profile.thinking.supports:
        return Row(BUDGET, Verdict.NOT_TOLD, f"the profile {patient.profile.name} does not think")
    assert _BUDGET.cut_at is not None
    enough = 2 * _BUDGET.cut_at
    free = await patient.ask(
        f"{nonce()} {_LONG}",
        max_tokens=enough + 50,
        thinking=Thinking("full"),
        until=lambda heard: _thought(heard) > enough,
    )
    if _inline(free) and not free.reasoning:
        seen, cost = "thoughts come inside the answer: nobody can count them", "a thought may go on for ever"
        return _row(patient, Fault.REASONING_PARSER, seen, cost, {"held": False}, BUDGET, Verdict.BROKEN)
    if _thought(free) <= _BUDGET.cut_at:
        seen = f"the model stopped by itself after {_thought(free)} tokens of thought: too few to tell"
        return Row(BUDGET, Verdict.NOT_TOLD, seen)
    if not patient.endpoint.backend.traits.budget:
        return await _by_coder(patient, "this server knows no budget")
    held = await patient.ask(
        f"{nonce()} {_LONG}",
        max_tokens=enough + 200,
        thinking=_BUDGET,
        until=lambda heard: _thought(heard) > (_BUDGET.cut_at or 0),
    )
    if held.reply is not None and _answered(held):
        seen = f"asked for {_BUDGET.mode} tokens, the server ended the thought after {_thought(held)}"
        return Row(BUDGET, Verdict.OK, seen, figures={"held": True, "thought": _thought(held)})
    return await _by_coder(patient, f"the server let the thought pass its budget of {_BUDGET.mode} tokens")


async def _by_coder(patient: Patient, seen: str) -> Row:
    """Whether the client's own cut brings an answer."""
    try:
        reply = await patient.client.stream(
            [user(f"{nonce()} {_LONG}")], thinking=_BUDGET, temperature=0.0, max_tokens=400
        )
        answered = bool(reply.text.strip() or reply.calls)
    except StreamBroken:
        answered = False
    found = await figures.read(patient.endpoint)
    backend = patient.endpoint.backend
    ignored = (
        backend.name == "vllm" and figures.before(backend.version, (0, 32)) and figures.speculates(found)
    )
    fault = Fault.BUDGET_SPECULATION if ignored else Fault.BUDGET
    if answered:
        cost = "an extra request for each cut"
        return _row(patient, fault, f"{seen}; coder cut it and went on", cost, {"held": False}, BUDGET)
    seen, cost = f"{seen}, and no answer came after coder cut it", "long thoughts end without an answer"
    return _row(patient, fault, seen, cost, {"held": False}, BUDGET, Verdict.BROKEN)


def _row(
    patient: Patient,
    fault: Fault,
    seen: str,
    cost: str,
    told: dict[str, object],
    probe: str = REASONING,
    verdict: Verdict = Verdict.DEGRADED,
) -> Row:
    how = fix(fault, patient.endpoint.backend, patient.profile)
    return Row(probe, verdict, seen, cost, how, figures=told)


def _inline(heard: Heard) -> bool:
    """Whether a thought stands in the content itself."""
    start = heard.raw.lstrip()
    return (start.startswith(OPEN) and not start.startswith(f"{OPEN}{CLOSE}")) or CLOSE in start[1:]


def _thought(heard: Heard) -> int:
    """Tokens of thought: as the server counts them at the end, or as they came."""
    counted = heard.reply.usage.thinking if heard.reply else 0
    return counted or heard.assembler.thinking_tokens


def _answered(heard: Heard) -> bool:
    return bool(heard.answer.text.strip())
