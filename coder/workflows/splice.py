"""Put the functions of an answer over the old ones, by their place in the syntax tree.

Nothing is trusted: an answer that doesn't parse, renames a parameter, drops a definition or changes nothing is refused.
"""

from __future__ import annotations

import ast
import copy
import difflib
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
        tree = _parsed(block)
        if tree is not None and any(isinstance(n, DefinitionNode) for n in tree.body):
            return block
    return None


def answer_is_complete(text: str) -> bool:
    """Whether a streamed answer holds its whole code block, so that the rest need not be waited for."""
    match = _FENCE.search(text)
    return bool(match and match[0].rstrip(" \t").endswith("```") and match[2].strip())


def splice(answer: str, modules: Mapping[str, Module], order: Sequence[Definition]) -> Splice | Refusal:
    """Lay an answer's definitions over those of `modules`.

    `order` ranks the definitions: of several with the name in the answer, the first whose parameters fit is meant.
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
    return _apply(changes, tree, modules)


def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


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
            inside = _member_indent(module, old)
            new = ["\n", *_indented(change.text, inside)]
            lines[old.end : old.end] = _with_newlines(new, module.newline)
            continue
        first, new = _replacement(module, old, change)
        lines[first : old.end] = _with_newlines(new, module.newline)
    if added:
        before = _top_level_start(module, min(c.old.start for c in changes if c.old))
        extra = [line for c in added for line in [*split_lines(c.text), "\n", "\n"]]
        lines[before:before] = _with_newlines(extra, module.newline)
    lines = _add_imports(module, lines, answer)
    return _checked(module, lines)


def _replacement(module: Module, old: Definition, change: _Change) -> tuple[int, list[str]]:
    """(first line to replace, the new lines), keeping the old header, docstring and comments where the answer only left them out."""
    node = change.node
    indent = _indent_of(module.lines[old.node.lineno - 1])
    keeps_decorators = not _decorators(node) and isinstance(node, FunctionNode)
    first = old.node.lineno - 1 if keeps_decorators else old.start
    new = _indented(change.text, indent)
    before = [line.replace("\r\n", "\n") for line in module.lines[first : old.end]]
    if isinstance(node, FunctionNode) and isinstance(old.node, FunctionNode):
        new = _keep_header(before, new, old.node, node, first)
    merged = _keep_comments(before, new)
    same = _parsed(textwrap.dedent("".join(merged)))
    wanted = _parsed(textwrap.dedent("".join(new)))
    if same is not None and wanted is not None and ast.dump(same) == ast.dump(wanted):
        return first, merged
    return first, new


def _keep_header(
    before: list[str], new: list[str], old: FunctionNode, node: FunctionNode, first: int
) -> list[str]:
    """The old `def` line (with its annotations) and docstring, where the answer has the same parameters."""
    if ast.dump(_plain(old.args)) != ast.dump(_plain(node.args)):
        return new
    old_body, new_body = old.body[0], node.body[0]
    offset = first_line(node)
    if old_body.lineno == old.lineno or new_body.lineno == node.lineno:
        return new
    old_start, new_start = first_line(old_body) - first, first_line(new_body) - offset
    documented = ast.get_docstring(old) is not None
    if documented and ast.get_docstring(node) is not None:
        new_start = (new_body.end_lineno or new_body.lineno) - offset
    if documented:
        old_start = (old_body.end_lineno or old_body.lineno) - first
    if len(node.decorator_list) != len(old.decorator_list) and node.decorator_list:
        return new
    return [*before[:old_start], *new[new_start:]]


def _plain(arguments: ast.arguments) -> ast.arguments:
    """The parameters without their annotations."""
    plain = copy.deepcopy(arguments)
    for node in ast.walk(plain):
        if isinstance(node, ast.arg):
            node.annotation = None
    return plain


def _keep_comments(before: list[str], new: list[str]) -> list[str]:
    """Put back the comment lines that the answer only left out."""
    merged: list[str] = []
    matcher = difflib.SequenceMatcher(None, before, new, autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        left_out = before[i:j] if tag in {"delete", "replace"} else []
        if all(map(_is_remark, left_out)) and not any("#" in line for line in new[k:m]):
            merged += left_out
        merged += new[k:m]
    return merged


def _is_remark(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _member_indent(module: Module, owner: Definition) -> str:
    body = owner.node.body[0] if isinstance(owner.node, ast.ClassDef) else None
    return _indent_of(module.lines[body.lineno - 1]) if body else "    "


def _indented(text: str, indent: str) -> list[str]:
    """The lines of `text`, indented, except those that lie inside a string literal that is no docstring."""
    lines = split_lines(text)
    tree = _parsed(text)
    if not indent or tree is None:
        return lines
    fixed: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        ):
            fixed |= set(range(node.lineno, node.end_lineno or node.lineno))
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode | ast.ClassDef) and ast.get_docstring(node) is not None:
            fixed -= set(range(node.body[0].lineno, node.body[0].end_lineno or 0))
    return [line if i in fixed or not line.strip() else indent + line for i, line in enumerate(lines)]


def _with_newlines(lines: list[str], newline: str) -> list[str]:
    return [line.rstrip("\r\n") + newline for line in lines]


def _top_level_start(module: Module, line: int) -> int:
    """The line on which the top-level statement around `line` starts."""
    starts = [first_line(node) for node in module.tree.body]
    return max((start for start in starts if start <= line), default=0)


def _add_imports(module: Module, lines: list[str], answer: ast.Module) -> list[str]:
    """Imports that the answer brings and the file lacks go behind the file's own."""
    present = {ast.unparse(n) for n in ast.walk(module.tree) if isinstance(n, ast.Import | ast.ImportFrom)}
    bound = {
        (a.asname or a.name)
        for n in module.tree.body
        for a in getattr(n, "names", [])
        if isinstance(a, ast.alias)
    }
    own = {d.name for d in module.definitions if not d.parent}
    new: list[str] = []
    for node in answer.body:
        if not isinstance(node, ast.Import | ast.ImportFrom) or ast.unparse(node) in present:
            continue
        names = [a for a in node.names if (a.asname or a.name) not in bound | own]
        local = isinstance(node, ast.ImportFrom) and (node.level or _is_own(node.module or "", module))
        if names and not local and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            node.names = names
            new.append(ast.unparse(node) + "\n")
    position = _import_position(module)
    return [*lines[:position], *_with_newlines(new, module.newline), *lines[position:]]


def _is_own(dotted: str, module: Module) -> bool:
    return dotted.split(".")[0] in module.path.removesuffix(".py").split("/")


def _import_position(module: Module) -> int:
    position = 0
    for index, node in enumerate(module.tree.body):
        docstring = index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or isinstance(node, ast.Import | ast.ImportFrom):
            position = node.end_lineno or node.lineno
        else:
            break
    return position


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
