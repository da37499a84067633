"""A run's record as Markdown, fit for the body of a pull request.

What comes from the model, the tests or the repository stands in code alone, where it is no markup: it can mention
nobody, close nothing and load nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from sandbox.text import clean_text

MAX_BLOCK = 4000
"""Characters of one block of output."""

_SIGNS = {"passed": "✅ passed", "failed": "❌ failed", "not_applicable": "➖ does not apply"}


def as_markdown(record: Mapping[str, Any]) -> str:
    """The page of a record as `Recorder.record` gives it; below 40,000 characters."""
    parts = [
        f"## {_title(record)}",
        block(record["task"]),
        *_said(record),
        *_tests("Before the change", record.get("tests_before")),
        *_tests("After the change", record.get("tests_after")),
        *_gates(record.get("gates") or []),
        *_later(record.get("flagged") or []),
        "### How it was made",
        "\n".join(_made(record)),
        "### How to see it again",
        "At the top of a clean checkout, with the patch beside it:",
        block("\n".join(record["reproduce"]), "sh"),
        *_hashes(record.get("hashes") or {}),
    ]
    return "\n\n".join(parts) + "\n"


def code(text: object, limit: int = 300) -> str:
    """`text` on one line as a code span that nothing in it can end, also inside a table."""
    flat = " ".join(clean_text(str(text)).split())[:limit].replace("|", "¦")
    ticks = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}" if flat else ""


def block(text: str, language: str = "text") -> str:
    """The end of `text` as a code block that nothing in it can end."""
    shown = clean_text(text[-MAX_BLOCK:]).strip("\n")
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def _title(record: Mapping[str, Any]) -> str:
    return (
        "A change that passed every gate" if record["status"] == "solved" else "A change that is not accepted"
    )


def _said(record: Mapping[str, Any]) -> Iterator[str]:
    if record["status"] != "solved":
        yield f"It ended so: {code(record['sentence'])}"
    if record["summary"]:
        yield "The model's own words, which nobody checked:"
        yield block(record["summary"])


def _tests(title: str, tests: Mapping[str, Any] | None) -> Iterator[str]:
    if tests is None:
        return
    yield f"### {title}: {tests['passed']} passed, {tests['failed']} failed"
    if tests.get("problem"):
        yield f"Not to be relied on: {code(tests['problem'])}"
    if tests["failing"]:
        yield "\n".join(f"- {code(name)}" for name in tests["failing"][:20])
    if tests.get("output"):
        yield _folded("What was printed", tests["output"])


def _gates(gates: list[Mapping[str, Any]]) -> Iterator[str]:
    if not gates:
        return
    yield "### Gates"
    rows = [
        f"| {code(gate['name'])} | {_SIGNS[gate['outcome']]} | {code(gate['detail'])} |" for gate in gates
    ]
    yield "\n".join(["| gate | outcome | seen |", "|---|---|---|", *rows])
    for gate in gates:
        if gate["outcome"] == "failed" and gate.get("output"):
            yield _folded(f"What {gate['name']} printed", gate["output"])


def _later(flagged: list[str]) -> Iterator[str]:
    if flagged:
        yield "**These files run by themselves later. Read them first.**"
        yield "\n".join(f"- {code(name)}" for name in flagged)


def _made(record: Mapping[str, Any]) -> Iterator[str]:
    model, budgets = record["model"], record["budgets"]
    spent = budgets.get("spent", {})
    thinking = ", ".join(f"{role} {level}" for role, level in budgets.get("thinking", {}).items())
    yield f"- model: {code(model['name'])} on {code(model['server'])}, strategy {code(model['strategy'])}"
    if sandbox := record.get("sandbox"):
        yield f"- sandbox: {code(sandbox.get('name', sandbox) if isinstance(sandbox, Mapping) else sandbox)}"
    yield (
        f"- spent: {spent.get('turns', 0)} turns{_cap(budgets, 'turns')}, {spent.get('prompt_tokens', 0)} tokens in "
        f"({spent.get('cached_tokens', 0)} cached), {spent.get('completion_tokens', 0)} out "
        f"({spent.get('thinking_tokens', 0)} thinking{f', allowed: {code(thinking)}' if thinking else ''})"
    )
    yield f"- time: {budgets['elapsed']:.0f} s{_cap(budgets, 'seconds')}"
    yield f"- review: {code(record['review']['verdict']) if record.get('review') else 'none'}"
    yield f"- run: {code(record['run'])}"


def _cap(budgets: Mapping[str, Any], name: str) -> str:
    told = budgets.get(name)
    return f" of {told[1]:g}" if isinstance(told, list) and told[1] else ""


def _hashes(hashes: Mapping[str, str]) -> Iterator[str]:
    if hashes:
        yield "What was judged, by its hashes:"
        yield "\n".join(f"- {name}: {code(value)}" for name, value in hashes.items())


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{escape(title)}</summary>\n\n{block(text)}\n\n</details>"
