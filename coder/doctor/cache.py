"""Probes: is a prompt's beginning remembered, is that told, and does remembering change answers?"""

from __future__ import annotations

import secrets

from coder.doctor import figures
from coder.doctor.patient import Heard, Patient, filler, nonce
from coder.doctor.verdict import Row, Verdict
from coder.model.figures import Figures
from coder.model.fixes import Fault, fix

CACHE, CANARY = "prefix cache", "cache canary"
_TOKENS = 3000
_HYBRID = 10_000  # tokens; a hybrid model's block may have 8,320 (vllm issue 48401)
_READING = 8.0  # seconds that one cold prompt may take
_HITS = (
    "vllm:prefix_cache_hits_total",
    "vllm:prefix_cache_hits",
    "sglang:cached_tokens_total",
    "llamacpp:prompt_tokens_cached_total",
)
_WORDS = ("amber", "birch", "cobalt", "dune", "ember", "falcon", "garnet", "harbor", "indigo", "juniper")


async def prefix_cache(patient: Patient) -> Row:
    before = await figures.read(patient.endpoint)
    size = _size(patient, before)
    prompt = f"{nonce()} {filler(size)}\n\nAnswer with the word OK."
    cold = await patient.ask(prompt, max_tokens=4)
    between = await figures.read(patient.endpoint)
    warm = await patient.ask(prompt, max_tokens=4)
    after = await figures.read(patient.endpoint)
    usage = warm.answer.usage
    read = cold.answer.usage.prompt
    patient.prefill = read / max(cold.first, 0.001)
    hits = (after.sum(*_HITS) or 0) - (between.sum(*_HITS) or 0)
    told: dict[str, object] = {
        "prompt": read,
        "cached": usage.cached,
        "reported": usage.cached_reported,
        "cold_seconds": round(cold.first, 3),
        "warm_seconds": round(warm.first, 3),
        "prefill_rate": round(patient.prefill),
    }
    times = f"first token after {cold.first:.2f} s cold, {warm.first:.2f} s warm"
    if usage.cached:
        seen = f"{usage.cached} of {usage.prompt} tokens came from the cache; {times}"
        return Row(CACHE, Verdict.OK, seen, figures=told)
    if hits > 0 or _faster(cold, warm):
        how = f"the server's own figures count {hits:.0f} hits" if hits > 0 else "the second time was faster"
        seen = f"it works but is not reported: {how}; {times}"
        cost = "coder cannot see when the cache stops working"
        return _row(patient, Fault.CACHE_UNREPORTED, seen, cost, told)
    return _missing(patient, before, f"the same {read} tokens were read twice; {times}", told)


async def canary(patient: Patient) -> Row:
    """A pass phrase in a long prompt, asked for once cold and three times warm: the answers must be alike."""
    size = _size(patient, await figures.read(patient.endpoint))
    phrase = f"{secrets.choice(_WORDS)}-{secrets.choice(_WORDS)}-{secrets.randbelow(9000) + 1000}"
    half = filler(size // 2)
    prompt = (
        f"{nonce()} {half}\nThe pass phrase is {phrase}.\n{half}\n\nRepeat the pass phrase, and nothing else."
    )
    right = [phrase in (await patient.ask(prompt, max_tokens=32)).answer.text for _ in range(4)]
    cold, warm = right[0], right[1:]
    told: dict[str, object] = {"cold": cold, "warm": sum(warm)}
    if all(right):
        return Row(CANARY, Verdict.OK, "the same right answer once cold and three times warm", figures=told)
    if cold:
        seen = f"right when the prompt was new, wrong in {3 - sum(warm)} of 3 answers from the cache"
        cost = "the longer a run, the worse the answers"
        how = fix(Fault.CACHE_CORRUPT, patient.endpoint.backend, patient.profile)
        return Row(CANARY, Verdict.BROKEN, seen, cost, how, figures=told)
    seen = "the model could not repeat a pass phrase: too weak to tell"
    return Row(CANARY, Verdict.NOT_TOLD, seen, figures=told)


def _size(patient: Patient, found: Figures) -> int:
    """Tokens of a long prompt here: more than a block of the cache, and read in a few seconds."""
    block = found.label("vllm:cache_config_info", "block_size")
    wanted = _TOKENS
    if _in_blocks(patient) and not block:
        wanted = _HYBRID
    if block.isdigit():
        wanted = max(_TOKENS, int(block) * 5 // 4)
    quick = int(patient.prefill * _READING) if patient.prefill else wanted
    room = (patient.endpoint.context_length or 8192) // 3
    return max(256, min(wanted, quick, room))


def _in_blocks(patient: Patient) -> bool:
    """Whether only whole blocks of a hybrid model are remembered; llama.cpp remembers to the token."""
    return patient.profile.dialect == "nemotron" and patient.endpoint.backend.name != "llama.cpp"


def _faster(cold: Heard, warm: Heard) -> bool:
    return cold.first > 0.3 and warm.first < 0.5 * cold.first


def _missing(patient: Patient, found: Figures, seen: str, told: dict[str, object]) -> Row:
    """No hit at all: the cache is off, unless this prompt was shorter than one block of it."""
    read = told["prompt"]
    block = found.label("vllm:cache_config_info", "block_size")
    least = int(block) if block.isdigit() else _HYBRID * 5 // 6 if _in_blocks(patient) else 0
    off = found.label("vllm:cache_config_info", "enable_prefix_caching") == "False"
    if not off and isinstance(read, int) and read < least:
        how = fix(Fault.CACHE_SHORT, patient.endpoint.backend, patient.profile)
        seen = f"{seen}; a block of this model's cache may be longer: too short to tell"
        return Row(CACHE, Verdict.NOT_TOLD, seen, fix=how, figures=told)
    cost = "every turn reads the whole conversation again"
    return _row(patient, Fault.CACHE_OFF, seen, cost, told, Verdict.BROKEN)


def _row(
    patient: Patient,
    fault: Fault,
    seen: str,
    cost: str,
    told: dict[str, object],
    verdict: Verdict = Verdict.DEGRADED,
) -> Row:
    how = fix(fault, patient.endpoint.backend, patient.profile)
    return Row(CACHE, verdict, seen, cost, how, figures=told)
