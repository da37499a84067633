"""Whether an edit breaks a file that could be parsed before; broken edits never land."""

from __future__ import annotations

import ast
import json
import sys
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tools.outline import MAX_BYTES, language_of, parse

if TYPE_CHECKING:
    from tree_sitter import Node

_PYTHON = (".py", ".pyi", ".pyw")
_WITH_COMMENTS = ("tsconfig", "jsconfig", "devcontainer", ".eslintrc", ".babelrc")
"""JSON by name, with comments in practice."""


@dataclass(frozen=True, slots=True)
class Problem:
    line: int
    """From 1; 0 when unknown."""
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


def newly_broken(path: str, before: bytes | None, after: bytes) -> Problem | None:
    """What is wrong with `after`, unless `before` was at least as broken. `before` None: a new file."""
    if len(after) > MAX_BYTES:
        return None
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _PYTHON:
        return _python(path, before, after)
    if suffix in (".json", ".toml"):
        problem = _data(path, suffix, after)
        return problem if before is None or _data(path, suffix, before) is None else None
    language = language_of(path)
    return _by_tree(path, before, after) if language and language.exact else None


def python_problem(source: bytes) -> Problem | None:
    """Why this interpreter cannot parse the source, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as error:
        return Problem(error.lineno or 0, error.msg)
    except (ValueError, RecursionError, MemoryError) as error:
        return Problem(0, str(error) or "nested too deeply")
    return None


def _python(path: str, before: bytes | None, after: bytes) -> Problem | None:
    """`ast` decides, since the grammar forgives bad indentation; the grammar decides where `ast` is too old."""
    problem = python_problem(after)
    if problem is None or _is_newer_syntax(path, after, problem):
        return None
    if before is None or python_problem(before) is None:
        return problem
    return problem if _by_tree(path, before, after) else None


def _by_tree(path: str, before: bytes | None, after: bytes) -> Problem | None:
    errors = _tree_errors(path, after)
    if not errors or (before is not None and len(errors) <= len(_tree_errors(path, before))):
        return None
    return errors[0]


def _tree_errors(path: str, source: bytes) -> list[Problem]:
    root = parse(source, path)
    return [] if root is None else [_describe(node) for node in _erroneous(root)]


def _erroneous(root: Node) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            yield node
        if node.has_error:
            pending.extend(reversed(node.children))


def _describe(node: Node) -> Problem:
    what = f"{node.type} expected" if node.is_missing else "syntax error"
    return Problem(node.start_point[0] + 1, what)


def _is_newer_syntax(path: str, source: bytes, problem: Problem) -> bool:
    """The grammar accepts it and it uses what this interpreter is too old for: the project may run on a later one."""
    root = parse(source, path)
    if root is None or root.has_error or "indent" in problem.message:
        return False
    pending = [root]
    while pending:
        node = pending.pop()
        if node.start_point[0] + 1 > problem.line or node.end_point[0] + 1 < problem.line:
            continue
        if _is_generic(node) or _is_template(node, problem.message):
            return True
        pending.extend(node.children)
    return False


def _is_generic(node: Node) -> bool:
    """PEP 695, Python 3.12: `type` statements and type parameters."""
    if sys.version_info >= (3, 12):
        return False
    above = node.parent.type if node.parent else ""
    return node.type == "type_alias_statement" or (
        node.type == "type_parameter" and above in ("class_definition", "function_definition")
    )


def _is_template(node: Node, message: str) -> bool:
    """PEP 701, Python 3.12: quotes and lines inside f-strings; PEP 750, Python 3.14: t-strings."""
    opening = node.children[0].text if node.type == "string" and node.children else None
    prefix = opening.decode("utf-8", "replace").lower() if opening else ""
    if "f" in prefix and sys.version_info < (3, 12):
        return "string" in message
    return "t" in prefix and sys.version_info < (3, 14) and message == "invalid syntax"


def _data(path: str, suffix: str, source: bytes) -> Problem | None:
    name = PurePosixPath(path).name.lower()
    if suffix == ".json" and (name.startswith(_WITH_COMMENTS) or "/.vscode/" in f"/{path}"):
        return None
    try:
        text = source.decode("utf-8-sig")
        json.loads(text) if suffix == ".json" else tomllib.loads(text)
    except json.JSONDecodeError as error:
        return Problem(error.lineno, error.msg)
    except (ValueError, RecursionError) as error:
        return Problem(0, str(error))
    return None
