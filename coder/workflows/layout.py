"""The text of a splice: indentation, kept headers, docstrings and comments, line ends, new imports."""

from __future__ import annotations

import ast
import copy
import difflib
import textwrap

from coder.workflows.definitions import Definition, FunctionNode, Module, first_line, split_lines


def parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def replacement(module: Module, old: Definition, node: ast.stmt, text: str) -> tuple[int, list[str]]:
    """(first line to replace, the new lines), keeping the old header, docstring and comments where the answer only left them out."""
    indent = _indent_of(module.lines[old.node.lineno - 1])
    keeps_decorators = isinstance(node, FunctionNode) and not node.decorator_list
    first = old.node.lineno - 1 if keeps_decorators else old.start
    new = indented(text, indent)
    before = [line.replace("\r\n", "\n") for line in module.lines[first : old.end]]
    if isinstance(node, FunctionNode) and isinstance(old.node, FunctionNode):
        new = _keep_header(before, new, old.node, node, first)
    merged = _keep_comments(before, new)
    same = parsed(textwrap.dedent("".join(merged)))
    wanted = parsed(textwrap.dedent("".join(new)))
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


def member_indent(module: Module, owner: Definition) -> str:
    body = owner.node.body[0] if isinstance(owner.node, ast.ClassDef) else None
    return _indent_of(module.lines[body.lineno - 1]) if body else "    "


def indented(text: str, indent: str) -> list[str]:
    """The lines of `text`, indented, except those that lie inside a string literal that is no docstring."""
    lines = split_lines(text)
    tree = parsed(text)
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


def with_newlines(lines: list[str], newline: str) -> list[str]:
    return [line.rstrip("\r\n") + newline for line in lines]


def top_level_start(module: Module, line: int) -> int:
    """The line on which the top-level statement around `line` starts."""
    starts = [first_line(node) for node in module.tree.body]
    return max((start for start in starts if start <= line), default=0)


def add_imports(module: Module, lines: list[str], answer: ast.Module) -> list[str]:
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
    return [*lines[:position], *with_newlines(new, module.newline), *lines[position:]]


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
