"""What repair shows the model: the code that the failing test ran, what pytest said, and one short question.

Small models copy what they see: asked to correct a function, they mostly repeat it. So most views hide the suspected
code and ask for it anew.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from coder.workflows.definitions import Definition, FunctionNode, Module
from coder.workflows.localise import Scene, Suspect
from coder.workflows.suspicion import called, executed, mutable_defaults
from coder.workflows.trace import Call

# In characters; a token is about 3.6. On two CPU cores a prompt costs 15-30 ms a token.
MAX_SOURCE = 4000
MAX_FAILURE = 1000
MAX_TASK = 400
# Fewer words, such as a test's name or "failing test", tell the model nothing.
MIN_TASK_WORDS = 4
MAX_CALLS = 8
MAX_USES = 3
MAX_CONSTANT = 400

_SECTION = re.compile(r"^_{3,} .* _{3,}$", re.MULTILINE)
_SUMMARY = re.compile(r"^=+ (short test summary info|warnings summary).*", re.MULTILINE | re.DOTALL)

FREE = (
    "Say in one sentence what is wrong, then write the corrected function in one ```python block, "
    "with the same name and signature."
)
POINTED = (
    "The mistake is in `{name}`. Say in one sentence what is wrong, then write the corrected definition of `{name}`, "
    "complete, in one ```python block."
)
REWRITE = (
    "Write the {kind} `{name}`, complete and correct so that the test passes, in one ```python block, "
    "with the same name and signature. Write only `{name}`."
)
FILL = (
    "Write the {kind} `{name}` with the missing code filled in so that the test passes, in one ```python block. "
    "Write only `{name}`, but all of it."
)
HIDDEN_BODY = "# TODO: write this body"
HIDDEN_CODE = "# FILL IN THE MISSING CODE HERE"
GO_ON = "Now write it, complete, in one ```python block."
AGAIN = "With that, the test fails differently:\n```\n{failure}\n```\nCorrect it and write it again, complete, in one ```python block."


@dataclass(frozen=True, slots=True)
class View:
    """How one sample is asked for. Without a suspect the model chooses what to correct.

    With `hidden` lines (a range of the suspect's file, from 0) it writes them anew; otherwise it corrects what it sees.
    """

    suspect: Definition | None = None
    hidden: range | None = None
    whole_body: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """All that prompts are made of: the scene, its ranking, the failing test's calls and report, the user's words."""

    scene: Scene
    suspects: tuple[Suspect, ...]
    calls: tuple[Call, ...]
    report: str
    task: str = ""


def prompt(case: Case, view: View) -> str:
    """The user message for one sample."""
    parts = [f"{path}\n```python\n{text.strip()}\n```" for path, text in source(case, view)]
    parts.append(f"The failing test:\n```\n{report(case.report, MAX_FAILURE)}\n```")
    if view.suspect is not None and view.hidden is not None:
        uses = arguments_text(case, view.suspect)
        parts += [f"In it, `{view.suspect.name}` is called like this:\n```\n{uses}\n```"] if uses else []
    else:
        calls = calls_text(case.calls)
        parts += [f"The calls that it made:\n```\n{calls}\n```"] if calls else []
    parts += [case.task.strip()[:MAX_TASK]] if len(case.task.split()) >= MIN_TASK_WORDS else []
    return "\n\n".join([*parts, question(view)])


def question(view: View) -> str:
    suspect = view.suspect
    if suspect is None:
        return FREE
    if view.hidden is None:
        return POINTED.format(name=suspect.name)
    return (REWRITE if view.whole_body else FILL).format(kind=suspect.kind, name=suspect.name)


def without_marks(answer: str) -> str:
    """The answer without the marks for hidden code that it repeated."""
    marks = (HIDDEN_BODY, HIDDEN_CODE)
    return "".join(line for line in answer.splitlines(True) if not line.strip().startswith(marks))


def rewrites(suspect: Definition) -> View:
    """Hide a function's whole body, all but its docstring."""
    body = _body(suspect)
    return View(suspect, range(body[0].lineno - 1, suspect.end), whole_body=True)


def holes(suspect: Definition) -> list[View]:
    """Hide one statement of a function each, in the order of the lines; compound statements lose their header only."""
    found = [View(suspect, hidden) for statement in _body(suspect) for hidden in _hidden_by(statement)]
    return found if len(found) > 1 else []


def _body(suspect: Definition) -> list[ast.stmt]:
    node = suspect.node
    if not isinstance(node, FunctionNode):
        return []
    documented = ast.get_docstring(node) is not None and len(node.body) > 1
    return node.body[1:] if documented else node.body


def _hidden_by(statement: ast.stmt) -> Iterator[range]:
    end = statement.end_lineno or statement.lineno
    if isinstance(statement, FunctionNode | ast.ClassDef):
        return
    inner = [child for field in ("body", "orelse", "finalbody") for child in getattr(statement, field, [])]
    inner += [child for handler in getattr(statement, "handlers", []) for child in handler.body]
    if inner and inner[0].lineno > statement.lineno:
        if not isinstance(statement, ast.Try):
            yield range(statement.lineno - 1, inner[0].lineno - 1)
        for child in inner:
            yield from _hidden_by(child)
    else:
        yield range(statement.lineno - 1, end)


def report(output: str, limit: int) -> str:
    """The first failing test's report, cut at its front to `limit` characters; without one, the output's end."""
    text = _SUMMARY.sub("", output).strip()
    starts = [match.start() for match in _SECTION.finditer(text)]
    if starts:
        first = text[starts[0] : starts[1] if len(starts) > 1 else None]
        text = _SECTION.sub("", first, count=1).strip("\n")
    if len(text) <= limit:
        return text
    cut = text[-limit:]
    return cut[cut.find("\n") + 1 :] if "\n" in cut else cut


def calls_text(calls: Sequence[Call]) -> str:
    """The last few different calls, one a line, in the order in which they returned."""
    lines = dict.fromkeys(call.text() for call in calls if call.name != "__init__")
    return "\n".join(list(lines)[-MAX_CALLS:])


def arguments_text(case: Case, suspect: Definition) -> str:
    """How the suspect was called, without its results: they may be what is wrong."""
    mine = [call for call in case.calls if called(case.scene.modules, call) == suspect]
    return "\n".join(list(dict.fromkeys(call.call_text() for call in mine))[-MAX_USES:])


def source(case: Case, view: View) -> list[tuple[str, str]]:
    """(path, text) of the code to show, the suspect's file last."""
    shown = _shown(case, view)
    by_path: dict[str, set[Definition]] = {}
    for definition in shown:
        by_path.setdefault(definition.path, set()).add(definition)
    last = view.suspect.path if view.suspect else shown[0].path if shown else ""
    paths = sorted(by_path, key=lambda path: path == last)
    modules = case.scene.modules
    return [(path, _extract(modules[path], _hide(modules[path], view), by_path[path])) for path in paths]


def _shown(case: Case, view: View) -> list[Definition]:
    """The suspect, then what the test executed (or may have), as far as there is room."""
    entered = set(executed(case.scene, case.calls))
    ranked = [s.definition for s in case.suspects]
    wanted = [d for d in ranked if d in entered] if entered else [d for d in ranked if d.kind != "class"]
    wanted = [*([view.suspect] if view.suspect else []), *wanted]
    chosen: list[Definition] = []
    used = 0
    for definition in dict.fromkeys(wanted):
        cost = len(case.scene.modules[definition.path].text(definition))
        if used + cost <= MAX_SOURCE or not chosen:
            chosen.append(definition)
            used += cost
    return chosen


def _hide(module: Module, view: View) -> list[str]:
    """The module's lines with what the view hides replaced by a mark."""
    suspect, hidden = view.suspect, view.hidden
    lines = list(module.lines)
    if suspect is None or hidden is None or suspect.path != module.path:
        return lines
    first = lines[hidden.start]
    mark = _body_mark(suspect) if view.whole_body else HIDDEN_CODE
    lines[hidden.start] = f"{first[: len(first) - len(first.lstrip())]}{mark}\n"
    for number in hidden[1:]:
        lines[number] = ""
    if view.whole_body and isinstance(suspect.node, FunctionNode):
        for name in mutable_defaults(suspect.node):
            for number in range(suspect.start, hidden.start):
                lines[number] = re.sub(
                    rf"\b({name}\b[^=,]*)=\s*(\[\]|{{}}|\w+\(\))", r"\1=None", lines[number]
                )
    return lines


def _body_mark(suspect: Definition) -> str:
    """The mark for a hidden body names what the old one used, so that nothing is forgotten."""
    names = [
        node.id if isinstance(node, ast.Name) else f"self.{node.attr}"
        for statement in _body(suspect)
        for node in ast.walk(statement)
        if (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and not _is_local(node.id, suspect))
        or (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self")
    ]
    used = ", ".join(dict.fromkeys(names))
    return f"{HIDDEN_BODY}, using {used}" if used else HIDDEN_BODY


def _is_local(name: str, suspect: Definition) -> bool:
    """Whether a function binds the name itself, or Python has it built in."""
    bound = {
        node.id
        for node in ast.walk(suspect.node)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    bound |= {node.arg for node in ast.walk(suspect.node) if isinstance(node, ast.arg)}
    builtin = name in dir(builtins) and not name[0].isupper()
    return name in bound or builtin


def _extract(module: Module, lines: Sequence[str], definitions: Iterable[Definition]) -> str:
    """Some definitions of a file under its imports, their classes' heads, and the constants that they name.

    `lines` are the file's lines as they are to be shown.
    """
    wanted = set(definitions)
    kept: set[int] = {i for i, line in enumerate(module.lines[:60]) if re.match(r"(from|import)\s", line)}
    for definition in wanted:
        kept |= set(range(definition.start, definition.end))
    text = "".join(module.lines[i] for i in sorted(kept))
    for definition in module.definitions:
        if definition.kind == "class" and any(
            d.qualname.startswith(definition.qualname + ".") for d in wanted
        ):
            kept |= set(range(definition.start, _head_end(definition)))
        elif definition.kind == "constant" and not definition.parent:
            short = len(module.text(definition)) <= MAX_CONSTANT
            if short and re.search(rf"\b{re.escape(definition.name)}\b", text):
                kept |= set(range(definition.start, definition.end))
    return _with_gaps(lines, sorted(kept))


def _head_end(definition: Definition) -> int:
    """Where a class's first method begins; its name, docstring and fields stand before."""
    body = definition.node.body if isinstance(definition.node, ast.ClassDef) else []
    methods = [d for d in body if isinstance(d, FunctionNode)]
    first = min(
        (min([d.lineno, *(x.lineno for x in d.decorator_list)]) for d in methods), default=definition.end + 1
    )
    return min(first - 1, definition.start + 15)


def _with_gaps(lines: Sequence[str], numbers: list[int]) -> str:
    text, previous = "", -1
    for number in numbers:
        gap = number != previous + 1 and text and not text.endswith("\n\n")
        text += ("\n" if gap else "") + lines[number].replace("\r\n", "\n")
        previous = number
    return text
