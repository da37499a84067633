"""Probe: what is this server, and which traps does its version have?"""

from __future__ import annotations

from coder.doctor import figures
from coder.doctor.patient import Patient
from coder.doctor.verdict import Row, Verdict
from coder.model.figures import Figures
from coder.model.fixes import Fault, fix

NAME = "server"


async def server(patient: Patient) -> Row:
    endpoint, backend = patient.endpoint, patient.endpoint.backend
    context = f"{endpoint.context_length} tokens" if endpoint.context_length else "not told"
    kind = str(backend) if backend.name != "generic" else "a server of unknown kind"
    seen = (
        f"{kind}, model {endpoint.model} (profile {patient.profile.name}), context {context}; {endpoint.why}"
    )
    traps = _traps(patient, await figures.read(endpoint))
    told: dict[str, object] = {"traps": [str(fault) for fault, _ in traps]}
    if not traps:
        return Row(NAME, Verdict.OK, seen, figures=told)
    known = "; ".join(f"known trap: {fault}" for fault, _ in traps)
    fixes = "; ".join(fix(fault, backend, patient.profile) for fault, _ in traps)
    costs = "; ".join(cost for _, cost in traps)
    return Row(NAME, Verdict.DEGRADED, f"{seen}; {known}", costs, fixes, figures=told)


def _traps(patient: Patient, found: Figures) -> list[tuple[Fault, str]]:
    """What is wrong by the version and the published configuration alone, each with its cost."""
    backend, out = patient.endpoint.backend, []
    if backend.name != "vllm":
        return []
    caching = found.label("vllm:cache_config_info", "enable_prefix_caching")
    if caching == "False":
        out.append((Fault.CACHE_OFF, "every turn reads the whole conversation again"))
    old = figures.before(backend.version, (0, 32))
    if old and patient.profile.thinking.supports and figures.speculates(found):
        out.append((Fault.BUDGET_SPECULATION, "coder cuts long thoughts itself, an extra request each time"))
    if caching == "True" and figures.speculates(found) and patient.profile.dialect == "nemotron":
        # vllm issue 53912, open for 0.28: hybrid models answer worse; the canary looks for it, --quick does not
        out.append(
            (Fault.CACHE_CORRUPT, "answers may get worse, until a restart; the canary probe looks for it")
        )
    return out
