"""Python source as repair sees it: where each function, class and module-level name begins and ends."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["function", "method", "class", "constant"]
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
DefinitionNode = FunctionNode | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True, slots=True)
class Definition:
    """One named piece of a module. Lines count from 0, `end` is exclusive, decorators are included."""

    path: str
    name: str
    qualname: str
    kind: Kind
    start: int
    end: int
    node: DefinitionNode

    @property
    def parent(self) -> str:
        """The qualified name of the class or function around this one; empty at module level."""
        return self.qualname.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Module:
    """A source file, decoded and parsed. `lines` keep their line ends; joined and encoded they are the file."""

    path: str
    lines: tuple[str, ...]
    encoding: str
    tree: ast.Module
    definitions: tuple[Definition, ...]

    @property
    def newline(self) -> str:
        return "\r\n" if any(line.endswith("\r\n") for line in self.lines[:50]) else "\n"

    def text(self, definition: Definition) -> str:
        """The definition's lines with plain line ends."""
        return "".join(self.lines[definition.start : definition.end]).replace("\r\n", "\n")

    def encode(self, lines: list[str]) -> bytes:
        return "".join(lines).encode(self.encoding)


def parse(path: str, data: bytes) -> Module | None:
    """Read one Python file; None where it is no valid Python (or is not text at all)."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        tree = ast.parse(text.replace("\r\n", "\n"))
    except (SyntaxError, UnicodeDecodeError, LookupError, ValueError, RecursionError, MemoryError):
        return None
    return Module(path, tuple(split_lines(text)), encoding, tree, tuple(_definitions(path, tree)))


def split_lines(text: str) -> list[str]:
    """Lines with their ends, cut at line feeds only, as Python counts them (`str.splitlines` cuts at form feeds too)."""
    return list(io.StringIO(text, newline="\n"))


def first_line(node: ast.stmt) -> int:
    """The line, from 0, on which a statement starts, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1


def assigned_names(node: ast.stmt) -> list[str]:
    """The plain names that an assignment binds: `A = B = 1` gives A and B, `x.y = 1` gives none."""
    match node:
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            return [name]
        case _:
            return []


def _definitions(path: str, tree: ast.Module) -> Iterator[Definition]:
    yield from _inside(path, tree.body, "", in_class=False, in_function=False)


def _inside(
    path: str, body: list[ast.stmt], prefix: str, *, in_class: bool, in_function: bool
) -> Iterator[Definition]:
    for node in body:
        end = node.end_lineno or node.lineno
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kind: Kind = "method" if in_class else "function"
            yield Definition(path, node.name, prefix + node.name, kind, first_line(node), end, node)
            inner = f"{prefix}{node.name}."
            yield from _inside(path, node.body, inner, in_class=False, in_function=True)
        elif isinstance(node, ast.ClassDef):
            yield Definition(path, node.name, prefix + node.name, "class", first_line(node), end, node)
            yield from _inside(path, node.body, f"{prefix}{node.name}.", in_class=True, in_function=False)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            if not in_function:
                for name in assigned_names(node):
                    yield Definition(path, name, prefix + name, "constant", node.lineno - 1, end, node)
        else:
            yield from _blocks(path, node, prefix, in_class=in_class, in_function=in_function)


def _blocks(
    path: str, node: ast.stmt, prefix: str, *, in_class: bool, in_function: bool
) -> Iterator[Definition]:
    """Definitions under `if`, `try`, `with` and the like."""
    for field in ("body", "orelse", "finalbody"):
        inner = getattr(node, field, [])
        yield from _inside(path, inner, prefix, in_class=in_class, in_function=in_function)
    for handler in getattr(node, "handlers", []):
        yield from _inside(path, handler.body, prefix, in_class=in_class, in_function=in_function)
