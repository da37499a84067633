"""Small changes to Python source that a test worth its name notices."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
LIE = '"mutant"'
"""What a mutated function returns where returning nothing might be what a test expects."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the bytes from `start` to `end` become `text`. It can matter only where `line` (from 1) runs."""

    path: str
    line: int
    name: str
    """Of the function or the constant that is concerned."""
    what: str
    start: int
    end: int
    text: str
    weight: int
    """Lower ones are noticed by more tests."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name}: {self.what}"

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutants_of(path: str, source: bytes) -> list[Mutant]:
    """Every mutant of one module; none where it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    spot = _Spot(source)
    found = list(_constants(path, tree, spot))
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode):
            found += _bodies(path, node, spot)
            found += _conditions(path, node, spot)
    return found


def chosen(mutants: list[Mutant], tests: str, ran: Mapping[str, frozenset[int]]) -> list[Mutant]:
    """Those worth trying against tests with this source, which ran these lines: of what the tests both name and run;
    else of what they run; else, since what runs in another process is not seen, of what they name."""
    words = set(re.findall(r"\w+", tests))
    named = [each for each in mutants if each.name in words]
    runs = [each for each in mutants if each.line in ran.get(each.path, frozenset())]
    functions = [each for each in runs if each.what != _UNSET]
    both = [each for each in runs if each.name in words]
    return sorted(both or functions or named or mutants, key=lambda each: each.weight)


def wrecked(mutants: list[Mutant], sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """The sources with every function doing nothing, all at once."""
    found = dict(sources)
    bodies = [each for each in mutants if each.weight == _WHOLE and each.path in found]
    for each in _outermost(bodies):
        found[each.path] = each.apply(found[each.path])
    return found


class _Spot:
    """Turns the line and column of a node into an offset in bytes."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._starts = [0, *accumulate(len(line) for line in source.splitlines(keepends=True))]

    def start(self, node: ast.stmt | ast.expr) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.stmt | ast.expr) -> int:
        return self._starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)

    def text(self, node: ast.expr) -> str:
        return self._source[self.start(node) : self.end(node)].decode("utf-8", "replace")


_UNSET = "is None"
_WHOLE = 0
"""The weight of a mutant that takes a function's whole body away."""


def _outermost(bodies: list[Mutant]) -> Iterator[Mutant]:
    """Those that lie in no other, the last in a file first, so that the places of the others stay right."""
    outer: list[Mutant] = []
    for each in sorted(bodies, key=lambda each: (each.path, each.start)):
        if not outer or outer[-1].path != each.path or each.start >= outer[-1].end:
            outer.append(each)
    return reversed(outer)


def _constants(path: str, tree: ast.Module, spot: _Spot) -> Iterator[Mutant]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
            if not name.startswith("__") and not (isinstance(value, ast.Constant) and value.value is None):
                yield Mutant(path, node.lineno, name, _UNSET, spot.start(value), spot.end(value), "None", 2)


def _bodies(path: str, node: FunctionNode, spot: _Spot) -> Iterator[Mutant]:
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    if not body or all(_does_nothing(each) for each in body):
        return
    inner = list(_own(node))
    start, end, line = spot.start(body[0]), spot.end(body[-1]), body[0].lineno
    if any(isinstance(each, ast.Yield | ast.YieldFrom) for each in inner):
        yield Mutant(path, line, node.name, "yields nothing", start, end, "return; yield", _WHOLE)
        return
    yield Mutant(path, line, node.name, "does nothing", start, end, "return None", _WHOLE)
    if any(isinstance(each, ast.Return) and each.value is not None for each in inner):
        yield Mutant(path, line, node.name, f"returns {LIE}", start, end, f"return {LIE}", 1)


def _conditions(path: str, node: FunctionNode, spot: _Spot) -> Iterator[Mutant]:
    for each in _own(node):
        if isinstance(each, ast.If | ast.IfExp | ast.While):
            test = each.test
            text = f"(not ({spot.text(test)}))"
            yield Mutant(
                path, test.lineno, node.name, "a condition is turned round", spot.start(test), spot.end(test), text, 3
            )  # fmt: skip


def _does_nothing(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Return(value=None) | ast.Return(value=ast.Constant(value=None)):
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case _:
            return False


def _own(node: FunctionNode) -> Iterator[ast.AST]:
    """All that lies in a function, but not in the functions and classes inside it."""
    stack: list[ast.AST] = list(node.body)
    while stack:
        each = stack.pop()
        yield each
        if not isinstance(each, FunctionNode | ast.ClassDef | ast.Lambda):
            stack += ast.iter_child_nodes(each)
