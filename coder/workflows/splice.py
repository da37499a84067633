"""Put the functions of an answer over the old ones, by their place in the syntax tree.

Nothing is trusted: an answer that doesn't parse, renames a parameter, drops a definition or changes nothing is refused.
"""

from __future__ import annotations

import ast
import copy
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coder.workflows.definitions import (
    Definition,
    DefinitionNode,
    FunctionNode,
    Module,
    assigned_names,
    first_line,
    parse,
    split_lines,
)
from coder.workflows.layout import (
    add_imports,
    indented,
    member_indent,
    parsed,
    replacement,
    top_level_start,
    with_newlines,
)

_FENCE = re.compile(r"^[ \t]*```[ \t]*(\w*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Splice:
    """New contents by path, and the qualified names of what changed."""

    files: dict[str, bytes]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an answer was not even tested, in a few words for the user."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Change:
    """`text` (not indented) goes over `old`; without `old` it is a new definition of the module at `path`."""

    path: str
    old: Definition | None
    node: ast.stmt
    text: str


def code_of(answer: str) -> str | None:
    """The Python code in a model's answer: its first fenced block that parses, or all of it when it is bare code."""
    blocks = [textwrap.dedent(match[2]) for match in _FENCE.finditer(answer)]
    for block in blocks or [textwrap.dedent(answer)]:
        tree = parsed(block)
        if tree is not None and any(isinstance(n, DefinitionNode) for n in tree.body):
            return block
    return None


def answer_is_complete(text: str) -> bool:
    """Whether a streamed answer holds its whole code block, so that the rest need not be waited for."""
    match = _FENCE.search(text)
    return bool(match and match[0].rstrip(" \t").endswith("```") and match[2].strip())


def cut_after(text: str, name: str) -> str | None:
    """A streamed answer up to the end of the function `name`; None while that has not come."""
    pattern = rf"^([ \t]*)(?:async )?def {re.escape(name)}\(.*?:[ \t]*(?:#[^\n]*)?\n"
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    if match is None:
        return None
    position, begun = match.end(), False
    for line in text[match.end() :].splitlines(keepends=True):
        if line.strip() and len(line) - len(line.lstrip()) <= len(match[1]):
            return text[:position] if begun else None
        begun = begun or bool(line.strip())
        position += len(line)
    return None


def splice(
    answer: str,
    modules: Mapping[str, Module],
    order: Sequence[Definition],
    only: Definition | None = None,
) -> Splice | Refusal:
    """Lay an answer's definitions over those of `modules`.

    `order` ranks the definitions: of several with the name in the answer, the first whose parameters fit is meant.
    With `only`, what the answer changes beside that definition is dropped (new helpers are not).
    """
    code = code_of(answer)
    if code is None:
        return Refusal("the answer has no Python function that parses")
    tree = ast.parse(code)
    lines = split_lines(code)
    ranked = [*order, *(d for m in modules.values() for d in m.definitions if d not in order)]
    changes: list[_Change] = []
    for node in tree.body:
        found = _changes_for(node, lines, ranked, modules)
        if isinstance(found, Refusal):
            return found
        changes += found
    if only is not None:
        changes = [c for c in changes if c.old in {None, only}]
    return _apply(changes, tree, modules)


def _source(node: ast.stmt, lines: list[str]) -> str:
    text = "".join(lines[first_line(node) : node.end_lineno])
    return text if text.endswith("\n") else text + "\n"


def _changes_for(
    node: ast.stmt, lines: list[str], ranked: list[Definition], modules: Mapping[str, Module]
) -> list[_Change] | Refusal:
    text = _source(node, lines)
    if isinstance(node, FunctionNode):
        return _function(node, text, ranked)
    if isinstance(node, ast.ClassDef):
        return _class(node, lines, text, ranked, modules)
    names = assigned_names(node)
    old = next((d for d in ranked if d.kind == "constant" and d.name in names and not d.parent), None)
    return [_Change(old.path, old, node, text)] if old else []


def _function(node: FunctionNode, text: str, candidates: list[Definition]) -> list[_Change] | Refusal:
    same_name = [d for d in candidates if d.name == node.name and isinstance(d.node, FunctionNode)]
    if not same_name:
        return [_Change("", None, node, text)]
    same_kind = [d for d in same_name if type(d.node) is type(node)]
    fits = [d for d in same_kind if isinstance(d.node, FunctionNode) and _compatible(d.node.args, node.args)]
    by_decorators = [d for d in fits if _decorators(d.node) == _decorators(node)]
    chosen = next(iter(by_decorators or fits), None)
    if chosen is None:
        return Refusal(f"the answer changes the signature of `{node.name}`")
    return [_Change(chosen.path, chosen, node, text)]


def _decorators(node: ast.AST) -> list[str]:
    return [ast.dump(d) for d in getattr(node, "decorator_list", [])]


def _compatible(old: ast.arguments, new: ast.arguments) -> bool:
    """Same parameters in the same order; new ones only behind them and only with defaults."""
    if [_name(old.vararg), _name(old.kwarg)] != [_name(new.vararg), _name(new.kwarg)]:
        return False
    before, after = [*old.posonlyargs, *old.args], [*new.posonlyargs, *new.args]
    added = len(after) - len(before)
    if [a.arg for a in before] != [a.arg for a in after[: len(before)]] or added > len(new.defaults):
        return False
    keyword_only = {a.arg for a in old.kwonlyargs}
    return keyword_only <= {a.arg for a in new.kwonlyargs}


def _name(argument: ast.arg | None) -> str:
    return argument.arg if argument else ""


def _class(
    node: ast.ClassDef, lines: list[str], text: str, ranked: list[Definition], modules: Mapping[str, Module]
) -> list[_Change] | Refusal:
    """A class in the answer is laid over the old one member by member, so that what it leaves out stays."""
    old = next((d for d in ranked if d.kind == "class" and d.name == node.name), None)
    if old is None:
        return [_Change("", None, node, text)]
    members = [d for d in modules[old.path].definitions if d.parent == old.qualname]
    changes: list[_Change] = []
    for child in node.body:
        piece = textwrap.dedent(_source(child, lines))
        if isinstance(child, FunctionNode):
            if _is_stub(child):
                continue
            found = _function(child, piece, members)
            if isinstance(found, Refusal):
                return found
            changes += [c if c.old else _Change(old.path, old, child, piece) for c in found]
        else:
            constant = next((d for d in members if d.name in assigned_names(child)), None)
            if constant:
                changes.append(_Change(old.path, constant, child, piece))
    return changes


def _is_stub(node: FunctionNode) -> bool:
    """A body of `...` or `pass`: the answer left it out."""
    last = node.body[-1]
    return len(node.body) == 1 and (
        isinstance(last, ast.Pass)
        or (isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant) and last.value.value is ...)
    )


def _apply(changes: list[_Change], answer: ast.Module, modules: Mapping[str, Module]) -> Splice | Refusal:
    changes = [c for c in changes if c.old is None or _differs(c)]
    replaced = [c for c in changes if c.old is not None]
    if not replaced:
        known = any(c.old is None for c in changes)
        what = "names no function of these files" if known else "is the same as the old code"
        return Refusal(f"the answer {what}")
    home = replaced[0].path
    files: dict[str, bytes] = {}
    for path in dict.fromkeys(c.path for c in replaced):
        added = [c for c in changes if c.old is None] if path == home else []
        data = _rewrite(modules[path], [c for c in replaced if c.path == path], added, answer)
        if isinstance(data, Refusal):
            return data
        files[path] = data
    return Splice(files, tuple(c.old.qualname for c in replaced if c.old))


def _differs(change: _Change) -> bool:
    """Whether the new code does anything else than the old; a new member of a class always does."""
    assert change.old is not None
    if change.old.kind == "class":
        return True
    return _bare(change.old.node) != _bare(change.node)


def _bare(node: ast.stmt) -> str:
    """A definition's meaning: without docstring and annotations, and without decorators (which answers leave out)."""
    bare = copy.deepcopy(node)
    for child in ast.walk(bare):
        if isinstance(child, FunctionNode):
            child.returns = None
            child.decorator_list = []
            if ast.get_docstring(child) is not None:
                child.body = child.body[1:] or [ast.Pass()]
        elif isinstance(child, ast.arg):
            child.annotation = None
    return ast.dump(bare)


def _rewrite(
    module: Module, changes: list[_Change], added: list[_Change], answer: ast.Module
) -> bytes | Refusal:
    lines = list(module.lines)
    for change in sorted(changes, key=lambda c: c.old.start if c.old else 0, reverse=True):
        assert change.old is not None
        old = change.old
        if old.kind == "class" and isinstance(change.node, FunctionNode):
            inside = member_indent(module, old)
            new = ["\n", *indented(change.text, inside)]
            lines[old.end : old.end] = with_newlines(new, module.newline)
            continue
        first, new = replacement(module, old, change.node, change.text)
        lines[first : old.end] = with_newlines(new, module.newline)
    if added:
        before = top_level_start(module, min(c.old.start for c in changes if c.old))
        extra = [line for c in added for line in [*split_lines(c.text), "\n", "\n"]]
        lines[before:before] = with_newlines(extra, module.newline)
    lines = add_imports(module, lines, answer)
    return _checked(module, lines)


def _checked(module: Module, lines: list[str]) -> bytes | Refusal:
    try:
        data = module.encode(lines)
    except UnicodeEncodeError:
        return Refusal(f"the answer has characters that {module.encoding} cannot hold")
    after = parse(module.path, data)
    if after is None:
        return Refusal("the file would not parse with this answer in it")
    lost = {d.qualname for d in module.definitions if d.kind != "constant" and not _nested(d, module)}
    lost -= {d.qualname for d in after.definitions}
    if lost:
        return Refusal(f"the answer drops `{min(lost)}`")
    if ast.dump(after.tree) == ast.dump(module.tree):
        return Refusal("the answer is the same as the old code")
    return data


def _nested(definition: Definition, module: Module) -> bool:
    """Whether it lives inside a function, whose body an answer may change freely."""
    parents = {d.qualname for d in module.definitions if isinstance(d.node, FunctionNode)}
    names = definition.qualname.split(".")
    return any(".".join(names[:i]) in parents for i in range(1, len(names)))
