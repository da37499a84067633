"""Probes: does the server make calls out of what the model writes, and are long arguments whole?"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from coder.doctor.patient import Heard, Patient
from coder.doctor.verdict import Row, Verdict
from coder.errors import ModelRejected
from coder.model.fixes import Fault, fix

CALLS, TAGS = "tool calls", "closing tags"
_NATIVE = re.compile(r"<tool_call>|<function=|\[TOOL_CALLS\]")
_NO_PARSER = re.compile(
    r"tool-call-parser|enable-auto-tool-choice|--jinja|tools? (?:param|is|are)", re.IGNORECASE
)
_CODE = 'def greet(name):\n    return f"hello {name}"\n\n\nprint(greet("you"))'
_TAG = 'first = "one"\nclosing = "</parameter>"\nlast = "three"'


def _tool(name: str, what: str, *parameters: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {each: {"type": "string"} for each in parameters},
        "required": list(parameters),
    }
    return {"type": "function", "function": {"name": name, "description": what, "parameters": schema}}


TOOLS = [
    _tool("read_file", "Read a file.", "path"),
    _tool("write_file", "Write a file.", "path", "content"),
]
_ONE = "Call the tool read_file with the path src/app.py. Make the call and say nothing else."
_TWO = "Call the tool read_file twice in this one answer: for the path a.py and for the path b.py. Say nothing else."
_WRITE = (
    "Call the tool write_file with the path hello.py and exactly this content, and say nothing else:\n\n{}\n"
)


async def tool_calls(patient: Patient) -> Row:
    try:
        heard = await asyncio.gather(*(_ask(patient, text) for text in (_ONE, _TWO, _WRITE.format(_CODE))))
    except ModelRejected as refusal:
        if not _NO_PARSER.search(str(refusal)):
            raise
        cost = "the agent cannot work here; only the repair strategy can"
        return Row(
            CALLS,
            Verdict.BROKEN,
            f"tools are refused: {refusal}",
            cost,
            _fix(patient),
            figures={"parsed": False},
        )
    seen = "; ".join(
        f"{what}: {_words(each)}"
        for what, each in zip(("one call", "two at once", "code inside"), heard, strict=True)
    )
    parsed = sum(_parsed(each) for each in heard)
    texts = [each for each in heard if each.answer.recovered]
    figures: dict[str, object] = {
        "parsed": bool(parsed and not texts),
        "as_text": len(texts),
        "by_server": parsed,
    }
    if any(_NATIVE.search(each.raw) for each in texts):
        seen = f"no tool parser takes the model's own tags; {seen}"
        cost = "coder reads such calls itself; a damaged one is lost, and it is told late"
        return Row(CALLS, Verdict.DEGRADED, seen, cost, _fix(patient), figures=figures)
    if texts:
        return await _own_way(patient, seen, figures)
    damaged = [each for each in heard if any(call.error for call in each.answer.calls)]
    if damaged:
        cost = "such calls are sent back to the model, a turn each"
        return Row(CALLS, Verdict.DEGRADED, seen, cost, _fix(patient), figures=figures)
    if parsed:
        return Row(CALLS, Verdict.OK, seen, figures=figures)
    return await _none(patient, seen)


async def closing_tags(patient: Patient) -> Row:
    """Whether an argument that holds `</parameter>` arrives whole: XML parsers may end it there."""
    heard = await _ask(patient, _WRITE.format(_TAG))
    call = next((call for call in heard.answer.calls if "content" in call.arguments), None)
    if call is None:
        return Row(TAGS, Verdict.NOT_TOLD, "the model made no such call")
    content = str(call.arguments["content"]).strip()
    if content == _TAG:
        return Row(TAGS, Verdict.OK, "an argument that holds </parameter> came whole")
    if content and _TAG.partition("</parameter>")[0].rstrip('" ').startswith(content.rstrip('" ')):
        seen = f"an argument that holds </parameter> was cut after {len(content)} of {len(_TAG)} characters"
        cost = "edits of files that hold such text are damaged without a word"
        how = fix(Fault.TOOL_CUT, patient.endpoint.backend, patient.profile)
        return Row(TAGS, Verdict.DEGRADED, seen, cost, how)
    return Row(TAGS, Verdict.NOT_TOLD, "the model did not copy the text that holds </parameter>")


async def _ask(patient: Patient, text: str, **extra: Any) -> Heard:
    return await patient.ask(text, max_tokens=160, tools=TOOLS, extra=extra)


def _parsed(heard: Heard) -> bool:
    return bool(heard.answer.calls) and not heard.answer.recovered


def _words(heard: Heard) -> str:
    calls, recovered = heard.answer.calls, heard.answer.recovered
    if not calls:
        return "none was made"
    if any(call.error for call in calls):
        return "with arguments that cannot be read"
    how = "came as text and was read by coder" if recovered else "made by the server"
    content = next((call.arguments["content"] for call in calls if "content" in call.arguments), None)
    changed = content is not None and str(content).strip() != _CODE
    return f"{f'{len(calls)} calls, ' if len(calls) > 1 else ''}{how}{', with other code' if changed else ''}"


async def _own_way(patient: Patient, seen: str, figures: dict[str, object]) -> Row:
    """Calls in a fence, or in no tags that a parser could know: the model slips, and the server may be in order.

    vLLM refuses tools altogether when it has no parser, so one that also makes a forced call has what it needs."""
    figures = figures | {"parsed": None}
    if patient.endpoint.backend.name == "vllm" and _parsed(await _forced(patient)):
        seen = f"tools are taken, and a forced call is made; the model writes others in its own way: {seen}"
        return Row(CALLS, Verdict.OK, seen, figures=figures)
    seen = f"the model writes calls in its own way, so the server's parser is not put to the test: {seen}"
    return Row(CALLS, Verdict.NOT_TOLD, seen, figures=figures)


async def _forced(patient: Patient) -> Heard:
    return await _ask(patient, _ONE, tool_choice="required")


async def _none(patient: Patient, seen: str) -> Row:
    """No call at all. Where a call can be forced, that tells the model's fault from the server's."""
    if patient.endpoint.backend.name == "vllm":
        if not _parsed(await _forced(patient)):
            cost = "the agent cannot work here"
            return Row(
                CALLS,
                Verdict.BROKEN,
                f"{seen}; not even a forced call came as one",
                cost,
                _fix(patient),
                figures={"parsed": False},
            )
        seen += "; a forced one was made"
    return Row(CALLS, Verdict.NOT_TOLD, f"{seen}: the model is too weak to tell", figures={"parsed": None})


def _fix(patient: Patient) -> str:
    return fix(Fault.TOOL_PARSER, patient.endpoint.backend, patient.profile)
