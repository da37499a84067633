"""Findings in the forms that people and programs read: text, JSON, SARIF, GitHub's annotations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from coder import __version__
from coder.review_events import Finding, Verdict
from coder.workflows.review.run import Reviewed
from sandbox.text import clean_text

_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def heard(verdict: Verdict) -> list[Finding]:
    """What is worth somebody's time: the findings that are backed."""
    return [finding for finding in verdict.findings if finding.backed]


def as_text(reviewed: Reviewed) -> str:
    """For a terminal: a line a finding, its proof below."""
    return clean_text("\n".join(_lines(reviewed.verdict)))


def _lines(verdict: Verdict) -> Iterator[str]:
    found = heard(verdict)
    for finding in found:
        yield f"{_place(finding)}: {finding.severity}: {finding.reason}"
        yield from (f"    {line}" for line in finding.proof.splitlines())
    dropped = len(verdict.findings) - len(found)
    yield f"{len(found)} findings" + (f"; {dropped} more had no proof and are left out" if dropped else "")


def _place(finding: Finding) -> str:
    return f"{finding.file}:{finding.line}" if finding.line else finding.file


def as_json(reviewed: Reviewed) -> str:
    """One object: the verdict and every finding, backed or not."""
    verdict = reviewed.verdict
    return json.dumps(
        {
            "version": __version__,
            "verdict": verdict.verdict,
            "overruled": verdict.overruled,
            "summary": verdict.summary,
            "base": reviewed.between.base,
            "files": [file.path for file in reviewed.files],
            "findings": [msgspec.structs.asdict(finding) for finding in verdict.findings],
        },
        ensure_ascii=False,
        indent=2,
    )


def as_sarif(reviewed: Reviewed) -> str:
    """SARIF 2.1.0, which code scanning takes."""
    results = [_result(finding) for finding in heard(reviewed.verdict)]
    driver = {"name": "coder", "version": __version__, "rules": [{"id": "review", "name": "Review"}]}
    return json.dumps(
        {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]},
        ensure_ascii=False,
        indent=2,
    )


def _result(finding: Finding) -> Mapping[str, Any]:
    region = {"region": {"startLine": finding.line}} if finding.line else {}
    where = {"physicalLocation": {"artifactLocation": {"uri": finding.file}, **region}}
    text = f"{finding.reason}\n\n{finding.proof}".strip()
    return {
        "ruleId": "review",
        "level": finding.severity,
        "message": {"text": text},
        "locations": [where],
    }


def as_github(reviewed: Reviewed) -> str:
    """Workflow commands, which GitHub shows beside the lines."""
    return "\n".join(_annotation(finding) for finding in heard(reviewed.verdict))


def _annotation(finding: Finding) -> str:
    line = f",line={finding.line}" if finding.line else ""
    text = f"{finding.reason}\n{finding.proof}".strip()
    return f"::{_LEVELS[finding.severity]} file={_property(finding.file)}{line}::{escaped(text)}"


def escaped(text: str) -> str:
    """As the runner reads it back (actions/toolkit, command.ts, escapeData)."""
    return clean_text(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return escaped(text).replace(":", "%3A").replace(",", "%2C")


FORMS: Mapping[str, Callable[[Reviewed], str]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "github": as_github,
}


def blocking(findings: Sequence[Finding]) -> bool:
    """Whether any finding is more than a note."""
    return any(finding.severity != "note" for finding in findings)
