"""A change as a reviewer sees it: hunks with the numbers that lines have afterwards, and what the tests said.

Only the change and its surroundings: reviewers find less, not more, when they are shown more (SWE-PRBench, 2603.26130).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coder.workflows.evidence import Evidence
from coder.workflows.gates.source import ChangedFile

AROUND = 6
"""Unchanged lines around a hunk."""
MAX_CHARACTERS = 24_000
"""Of one part of a change; a longer change is reviewed in parts."""


def parts(files: Sequence[ChangedFile]) -> list[str]:
    """The change in parts that each fit, files whole where they can be; every part names the files of all."""
    shown = [(file.path, "\n".join(numbered(file))) for file in files]
    found: list[str] = []
    held = ""
    for _, text in shown:
        for piece in _pieces(text):
            if held and len(held) + len(piece) > MAX_CHARACTERS:
                found.append(held)
                held = ""
            held += f"{piece}\n\n"
    found.append(held)
    if len(found) == 1:
        return [held.rstrip()]
    everything = ", ".join(path for path, _ in shown)
    return [
        f"Part {number} of {len(found)} of a change to {everything}:\n\n{text.rstrip()}"
        for number, text in enumerate(found, 1)
    ]


def _pieces(text: str) -> Iterator[str]:
    lines, held, size = text.splitlines(), list[str](), 0
    for line in lines:
        if held and size + len(line) > MAX_CHARACTERS:
            yield "\n".join(held)
            held, size = [lines[0]], 0
        held.append(line[:2000])
        size += len(line) + 1
    yield "\n".join(held)


def numbered(file: ChangedFile) -> Iterator[str]:
    """The file's hunks: a number for each line that is there afterwards, + for a new one, - for one that is gone."""
    verb = "new file" if file.old is None else "deleted" if file.new is None else "changed"
    yield f"{file.path} ({verb})"
    if not file.text:
        yield "(not text)"
        return
    old, new, matcher = file.compared()
    for number, group in enumerate(matcher.get_grouped_opcodes(AROUND)):
        if number:
            yield "   …"
        for tag, old_start, old_end, new_start, new_end in group:
            if tag != "equal":
                yield from (f"     - {line}" for line in old[old_start:old_end])
            sign = " " if tag == "equal" else "+"
            yield from (
                f"{place:>5}{sign} {line}" for place, line in enumerate(new[new_start:new_end], new_start + 1)
            )


def task_of(task: str, change: str, evidence: Evidence | None) -> str:
    """What the reviewer is asked."""
    said = "\n".join(_seen(evidence)) if evidence else ""
    tests = f"\n\n# What was seen\n{said}" if said else ""
    return f"# The task\n{task}\n\n# The change\n{change}{tests}"


def _seen(evidence: Evidence) -> Iterator[str]:
    for name, tests in (("before", evidence.before), ("after", evidence.after)):
        if tests is not None:
            failing = f": {', '.join(sorted(tests.failing)[:10])}" if tests.failing else ""
            yield f"Tests {name} the change: {len(tests.passed)} pass, {len(tests.failing)} fail{failing}"
    for gate in evidence.gates:
        if gate.applicable:
            yield f"{gate.name}: {gate.detail}"
