"""What repair shows the model: the suspected source, what pytest said, and one short question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from coder.workflows.definitions import Definition, Module
from coder.workflows.localise import Scene

# A token of Python is about 3.6 characters for the tokenizers measured. On two CPU cores a prompt costs 15-30 ms a token.
MAX_SOURCE = 4200
MAX_FAILURE = 1200
MAX_TASK = 400

_SECTION = re.compile(r"^_{3,} .* _{3,}$", re.MULTILINE)
_SUMMARY = re.compile(r"^=+ (short test summary info|warnings summary).*", re.MULTILINE | re.DOTALL)

ASK = (
    "Say in one sentence what is wrong, then write the corrected {what} in one ```python block, "
    "with the same name and signature. Do not change the tests."
)


def shared_part(scene: Scene, output: str, task: str) -> str:
    """The part of the prompt that stays the same for every sample: a server with a prefix cache reads it once."""
    parts = [f"{path}\n```python\n{text.rstrip()}\n```" for path, text in source(scene, MAX_SOURCE)]
    parts.append(f"A test fails:\n```\n{failure(output, MAX_FAILURE)}\n```")
    if task.strip():
        parts.append(task.strip()[:MAX_TASK])
    return "\n\n".join(parts)


def question(suspect: Definition | None) -> str:
    """Ask for the corrected function, of the model's own choice or of one that it is pointed to."""
    if suspect is None:
        return ASK.format(what="function")
    kind = {"constant": "definition of", "class": "class"}.get(suspect.kind, suspect.kind)
    pointer = f"The bug is in the {suspect.kind} `{suspect.qualname}`. "
    return pointer + ASK.format(what=f"{kind} `{suspect.name}`")


def failure(output: str, limit: int) -> str:
    """The first failing test's report, cut at its front to `limit` characters; without one, the output's end."""
    text = _SUMMARY.sub("", output).strip()
    starts = [match.start() for match in _SECTION.finditer(text)]
    if starts:
        first = text[starts[0] : starts[1] if len(starts) > 1 else None]
        text = _SECTION.sub("", first, count=1).strip()
    return _tail(text, limit)


def _tail(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    cut = text[-limit:]
    return cut[cut.find("\n") + 1 :] if "\n" in cut else cut


def source(scene: Scene, limit: int) -> list[tuple[str, str]]:
    """(path, text) of the suspected files, the most suspected last; whole while they fit, else in extracts."""
    paths = list(dict.fromkeys(s.definition.path for s in scene.suspects))
    whole = [(path, "".join(scene.modules[path].lines).replace("\r\n", "\n")) for path in paths]
    if sum(len(text) for _, text in whole) <= limit:
        return whole[::-1]
    return _extracts(scene, limit)[::-1]


def _extracts(scene: Scene, limit: int) -> list[tuple[str, str]]:
    """The most suspected definitions that fit into `limit` characters, under their files' imports."""
    chosen: dict[str, set[Definition]] = {}
    used = 0
    for suspect in scene.suspects:
        definition = suspect.definition
        if definition.kind == "class" and any(
            s.definition.parent == definition.qualname for s in scene.suspects
        ):
            continue
        module = scene.modules[definition.path]
        cost = len(module.text(definition))
        if definition.path not in chosen:
            cost += len(_header(module))
        if used + cost > limit and used:
            continue
        used += cost
        chosen.setdefault(definition.path, set()).add(definition)
    return [(path, _extract(scene.modules[path], definitions)) for path, definitions in chosen.items()]


def _header(module: Module) -> str:
    imports = [line for line in module.lines[:60] if re.match(r"(from|import)\s", line)]
    return "".join(imports).replace("\r\n", "\n")


def _extract(module: Module, definitions: Iterable[Definition]) -> str:
    kept: set[int] = set()
    wanted = set(definitions)
    for definition in module.definitions:
        inside = any(d.qualname.startswith(definition.qualname + ".") for d in wanted)
        if definition in wanted:
            kept |= set(range(definition.start, definition.end))
        elif definition.kind == "class" and inside:
            kept |= set(range(definition.start, definition.node.lineno))
    return _header(module) + _with_gaps(module.lines, sorted(kept))


def _with_gaps(lines: Sequence[str], numbers: list[int]) -> str:
    text, previous = "", -1
    for number in numbers:
        line = lines[number].replace("\r\n", "\n")
        if number != previous + 1:
            text += line[: len(line) - len(line.lstrip())] + "# ...\n"
        text += line
        previous = number
    return text
