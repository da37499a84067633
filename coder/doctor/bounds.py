"""Probes: how long may a prompt be, and do answers keep to a schema?"""

from __future__ import annotations

import json

from coder.doctor.patient import Patient, filler, nonce
from coder.doctor.verdict import Row, Verdict
from coder.errors import ContextOverflow, ModelRejected
from coder.model.endpoint import connect
from coder.model.fixes import Fault, fix

CONTEXT, SCHEMA = "context", "structured output"
_PROVABLE = 40_000  # tokens; a longer claim is believed
_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "verdict",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "verdict": {"type": "string", "enum": ["accept", "reject"]},
                "reason": {"type": "string", "maxLength": 80},
            },
            "required": ["verdict", "reason"],
            "additionalProperties": False,
        },
    },
}


async def context(patient: Patient) -> Row:
    claim = patient.endpoint.context_length or await _told_later(patient)
    told: dict[str, object] = {"claimed": claim}
    if claim is None:
        seen = f"the server does not tell; coder takes {patient.profile.context} tokens from the profile"
        return Row(CONTEXT, Verdict.NOT_TOLD, seen, figures=told)
    if claim > _PROVABLE:
        return Row(CONTEXT, Verdict.OK, f"{claim} tokens by its own word", figures=told)
    verdict, seen = await _overfill(patient, claim)
    if verdict is Verdict.BROKEN:
        cost = "the model forgets its task and the beginning of the work, and nobody is told"
        return _row(patient, Fault.CONTEXT_CUT, verdict, seen, cost, told)
    if verdict is Verdict.DEGRADED:
        cost = "a run that fills the context ends, where a shorter one could go on"
        return Row(CONTEXT, verdict, seen, cost, "update the server, and tell us its words", figures=told)
    # the repair strategy asks short questions; the agent's conversations grow
    least, good = (4096, 8192) if patient.profile.strategy == "repair" else (8192, 16_384)
    if claim < good:
        verdict = Verdict.BROKEN if claim < least else Verdict.DEGRADED
        cost = f"long runs do not fit: the {patient.profile.strategy} strategy wants {good} tokens or more"
        return _row(patient, Fault.CONTEXT_SMALL, verdict, seen, cost, told)
    return Row(CONTEXT, verdict, seen, figures=told)


async def schema(patient: Patient) -> Row:
    """The question does not mention the schema: only a server that enforces it gets it right."""
    try:
        heard = await patient.ask(
            "Is this change good? It renames a variable.", max_tokens=120, extra={"response_format": _FORMAT}
        )
    except ModelRejected as refusal:
        return _unschooled(patient, f"response_format is refused: {refusal}")
    if heard.answer.finish == "length" and heard.raw.lstrip().startswith("{"):
        return Row(SCHEMA, Verdict.NOT_TOLD, "the answer was cut at its limit", figures={"conforms": None})
    if _conforms(heard.answer.text):
        return Row(SCHEMA, Verdict.OK, "the answer kept to its schema", figures={"conforms": True})
    return _unschooled(patient, f"the answer did not keep to its schema: {heard.answer.text[:60]!r}")


async def _told_later(patient: Patient) -> int | None:
    """Some servers (Ollama, LM Studio) tell only once the model is loaded, which the earlier probes did."""
    endpoint = patient.endpoint
    again, _ = await connect(endpoint.base_url, endpoint.model, endpoint.api_key or None)
    return again.context_length


async def _overfill(patient: Patient, claim: int) -> tuple[Verdict, str]:
    """A prompt an eighth longer than the claim must be refused in words that the client knows."""
    prompt = f"{nonce()} {filler(claim * 9 // 8 + 200)}\n\nAnswer with the word OK."
    try:
        heard = await patient.ask(prompt, max_tokens=4)
    except ContextOverflow:
        return Verdict.OK, f"{claim} tokens; a longer prompt is refused"
    except ModelRejected as refusal:
        return (
            Verdict.DEGRADED,
            f"{claim} tokens; a longer prompt is refused in words unknown here: {refusal}",
        )
    read = heard.answer.usage.prompt
    if read > claim:
        return Verdict.OK, f"{claim} tokens by its own word, but it read {read}"
    if not read:
        return (
            Verdict.NOT_TOLD,
            f"{claim} tokens; a longer prompt was answered, and its tokens were not counted",
        )
    return Verdict.BROKEN, f"{claim} tokens; of a longer prompt {read} tokens were read, the rest was dropped"


def _conforms(text: str) -> bool:
    try:
        data = json.loads(text)
    except ValueError:
        return False
    return (
        isinstance(data, dict)
        and data.get("verdict") in ("accept", "reject")
        and set(data) == {"verdict", "reason"}
    )


def _unschooled(patient: Patient, seen: str) -> Row:
    how = fix(Fault.SCHEMA, patient.endpoint.backend, patient.profile)
    cost = "short verdicts of the model have to be read out of free text"
    return Row(SCHEMA, Verdict.DEGRADED, seen, cost, how, figures={"conforms": False})


def _row(
    patient: Patient, fault: Fault, verdict: Verdict, seen: str, cost: str, told: dict[str, object]
) -> Row:
    how = fix(fault, patient.endpoint.backend, patient.profile)
    return Row(CONTEXT, verdict, seen, cost, how, figures=told)
